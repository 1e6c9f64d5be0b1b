"""The body of add-checkpoint (C2SP tlog-witness): the size that the log thinks we saw, a consistency proof, and a signed note."""

import base64
import binascii
import re
from dataclasses import dataclass

from proeftuin.reasons import MALFORMED, Refused

LONGEST_PROOF = 63  # hashes


@dataclass(frozen=True, slots=True)
class Request:
    """`old` is the size that the proof starts from; `origin` the first line of the note, still unverified."""

    old: int
    proof: list[bytes]
    note: str
    origin: str


def read(body: bytes) -> Request:
    """Return what the log asks; raises Refused(MALFORMED)."""
    try:
        head, separator, note = body.decode().partition("\n\n")
        first, *lines = head.split("\n")
        match = re.fullmatch("old (0|[1-9][0-9]{0,18})", first)
        if match is None or not separator or len(lines) > LONGEST_PROOF:
            raise ValueError("it is `old <size>`, at most 63 hashes in base64, an empty line, and the note")
        proof = [base64.b64decode(line, validate=True) for line in lines]
        if any(len(each) != 32 for each in proof):
            raise ValueError("a hash has 32 bytes")
    except (UnicodeDecodeError, binascii.Error, ValueError) as error:
        raise Refused(MALFORMED, f"the body: {str(error)[:100]}") from error
    return Request(int(match[1]), proof, note, note.partition("\n")[0])
