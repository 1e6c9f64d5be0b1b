"""The client's side of the overview in the demonstration: does it show the exchange, and does its proof hold?"""

import time
from typing import Any

from proeftuin.overview import checking
from proeftuin.sandbox.hops import Hop, milliseconds_since


def shows(answer: dict[str, Any], trace_id: str, ends: set[str]) -> bool:
    """Tell whether each of `ends` (names of organisations) has told its part of the exchange, and the witness has seen the log."""
    return answer["witnessed"] is not None and ends <= {row["logged_by"] for row in answer["rows"] if row["trace_id"] == trace_id}


def check(answer: dict[str, Any], keys: tuple[str, str], client: str, trace_id: str, ends: set[str]) -> Hop:
    """Verify that the overview shows the exchange and that its proof holds (see checking.check); returns it as a hop."""
    started = time.perf_counter()
    reason = "ok"
    try:
        if not shows(answer, trace_id, ends):
            raise ValueError("an end of the exchange is missing")
        checking.check(answer, keys)
    except (ValueError, KeyError, TypeError) as error:
        reason = f"proof_fails: {error}"[:80]
    what = f"verify {len(answer['rows'])} rows against the witnessed checkpoint"
    return Hop("overview", client, "itself", what, 200, reason, milliseconds_since(started), "ok", trace_id)
