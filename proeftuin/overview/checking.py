"""The client's check of an overview, from the file alone and the keys of log and witness: nothing is taken on trust.

What it cannot show is that nothing was left out: a log could keep silent about an event. Whoever has another end's record can ask.
"""

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from proeftuin.overview import csv, html, pdf
from proeftuin.overview.lines import lines
from proeftuin.overview.reading import read
from proeftuin.transparency import checkpoint, cosignature, merkle

Overview = dict[str, Any]
NOT_IN_DOCUMENT = {"proof", "delivered_by", "person"}  # `person`: a name from the organisation's own register


@dataclass(frozen=True, slots=True)
class Checked:
    """What holds: how many rows, and of how many of those the document is withheld because it is about others too."""

    rows: int
    withheld: int
    size: int
    cosigned: int | None  # Unix time of the witness's cosignature; None when it has not seen this log yet


def open_file(content: bytes, proof: bytes | None = None) -> Overview:
    """Return the overview in a file of any form; a CSV needs its `proof`, the JSON of the same moment.

    Raises ValueError when there is no overview in it, or when what a person reads is not what the overview says.
    """
    if content.startswith(b"%PDF-"):
        found = pdf.proof(content)
        _same(pdf.text(content), pdf.text(_made(pdf.render, found)))
    elif content.lstrip()[:9].lower() == b"<!doctype":
        found = html.proof(content)
        _same(content, _made(html.render, found))
    elif content.lstrip().startswith(b"{"):
        found = _overview(content)
    elif proof is not None:
        found = _overview(proof)
        _same(content, _made(csv.render, found))
    else:
        raise ValueError("this is no JSON, PDF or page; a CSV is checked with --proof, the JSON of the same moment")
    return found


def check(overview: Overview, keys: tuple[str, str]) -> Checked:
    """Verify checkpoint, witness, and of every row commitment, inclusion and words; `keys` are the key lines of log and witness.

    Raises ValueError with the first thing that does not hold.
    """
    try:
        note = checkpoint.verify(overview["checkpoint"], keys[0])
        cosigned = None if overview["witnessed"] is None else _check_witnessed(overview["witnessed"], note, keys)
        places = [row["proof"]["index"] for row in overview["rows"]]
        if len(set(places)) < len(places):
            raise ValueError("a row stands there twice")
        withheld = sum(check_row(row, note) for row in overview["rows"])
        if lines(overview["rows"]) != overview["lines"]:
            raise ValueError("the lines do not follow from the rows")
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"this is no overview: {error!r}") from error
    return Checked(len(places), withheld, note.size, cosigned)


def check_row(row: dict[str, Any], note: checkpoint.Checkpoint) -> bool:
    """Check that a row is what its document says and that the document is in the log; raises ValueError.

    Returns whether the document is withheld: then only its place is proven.
    """
    proof = row["proof"]
    entry = _decode(proof["entry"])
    committed = json.loads(entry)
    path = [_decode(each) for each in proof["path"]]
    merkle.verify_inclusion(merkle.leaf_hash(entry), proof["index"], note.size, path, note.root)
    if committed["source"] != row["delivered_by"]:
        raise ValueError(f"event {proof['index']} was delivered by another")
    if proof["document"] is None:
        return True
    document = _decode(proof["document"])
    if committed["commit"] != base64.b64encode(hashlib.sha256(_decode(proof["nonce"]) + document).digest()).decode():
        raise ValueError(f"event {proof['index']}: the entry does not commit to the document")
    if read(json.loads(document)) != {name: value for name, value in row.items() if name not in NOT_IN_DOCUMENT}:
        raise ValueError(f"event {proof['index']}: the row is not what the document says")
    return False


def _check_witnessed(witnessed: dict[str, Any], note: checkpoint.Checkpoint, keys: tuple[str, str]) -> int:
    """Check that the witness cosigned a checkpoint of this log and that `note` extends it; returns when."""
    seen = checkpoint.verify(witnessed["checkpoint"], keys[0])
    moment = cosignature.verify(witnessed["checkpoint"], keys[1])
    merkle.verify_consistency(seen.size, note.size, [_decode(each) for each in witnessed["consistency"]], seen.root, note.root)
    return moment


def _overview(content: bytes) -> Overview:
    found = json.loads(content)
    if not isinstance(found, dict):
        raise ValueError("the file is no overview")
    return found


def _made(render: Any, overview: Overview) -> bytes:  # noqa: ANN401 - one of the three renderers
    try:
        made: bytes = render(overview)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"the file carries no overview: {error!r}") from error
    return made


def _same(shown: object, made: object) -> None:
    if shown != made:
        raise ValueError("what can be read in the file is not what its proof says, or another version of this program made it")


def _decode(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
