"""The client's side of the overview: does it show the exchange, and does its proof hold? Nothing is taken on trust."""

import base64
import hashlib
import json
import time
from typing import Any

from proeftuin.sandbox.hops import Hop, milliseconds_since
from proeftuin.transparency import checkpoint, cosignature, merkle


def shows(answer: dict[str, Any], trace_id: str, ends: set[str]) -> bool:
    """Tell whether each of `ends` (names of organisations) has told its part of the exchange, and the witness has seen the log."""
    return answer["witnessed"] is not None and ends <= {row["logged_by"] for row in answer["rows"] if row["trace_id"] == trace_id}


def check(answer: dict[str, Any], keys: tuple[str, str], client: str, trace_id: str, ends: set[str]) -> Hop:
    """Verify that the overview is complete, and checkpoint, witness, commitment and inclusion of every row; returns it as a hop.

    `keys` are the key lines of the log and of its witness.
    """
    started = time.perf_counter()
    reason = "ok"
    try:
        if not shows(answer, trace_id, ends):
            raise ValueError("an end of the exchange is missing")
        note = checkpoint.verify(answer["checkpoint"], keys[0])
        verify_witnessed(answer["witnessed"], note, keys)
        for row in answer["rows"]:
            verify_row(row, note)
    except (ValueError, KeyError, TypeError) as error:
        reason = f"proof_fails: {error}"[:80]
    what = f"verify {len(answer['rows'])} rows against the witnessed checkpoint"
    return Hop("overview", client, "itself", what, 200, reason, milliseconds_since(started), "ok", trace_id)


def verify_witnessed(witnessed: dict[str, Any], note: checkpoint.Checkpoint, keys: tuple[str, str]) -> None:
    """Check that the witness cosigned a checkpoint of this log, and that `note` extends it; raises ValueError."""
    seen = checkpoint.verify(witnessed["checkpoint"], keys[0])
    cosignature.verify(witnessed["checkpoint"], keys[1])
    merkle.verify_consistency(seen.size, note.size, [_decode(each) for each in witnessed["consistency"]], seen.root, note.root)


def verify_row(row: dict[str, Any], note: checkpoint.Checkpoint) -> None:
    """Check that a row is what its document says and that the document is in the log; raises ValueError."""
    proof = row["proof"]
    entry = _decode(proof["entry"])
    document = _decode(proof["document"])
    commitment = base64.b64encode(hashlib.sha256(_decode(proof["nonce"]) + document).digest()).decode()
    if json.loads(entry)["commit"] != commitment:
        raise ValueError("the entry does not commit to the document")
    if json.loads(document)["recorded"] != row["when"]:
        raise ValueError("the row is not what the document says")
    path = [_decode(each) for each in proof["path"]]
    merkle.verify_inclusion(merkle.leaf_hash(entry), proof["index"], note.size, path, note.root)


def _decode(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
