"""Cosignatures of checkpoints by a witness (C2SP tlog-cosignature, cosignature/v1) with Ed25519."""

import base64
import struct

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from proeftuin.transparency import checkpoint
from proeftuin.transparency.checkpoint import DASH, CheckpointError, decode

KIND = b"\x04"


def verifier_line(name: str, public_key: Ed25519PublicKey) -> str:
    """Return the witness's public key as `<name>+<hex key id>+<base64 of type and key>`."""
    return checkpoint.verifier_line(name, public_key, KIND)


def sign(note: str, name: str, key: Ed25519PrivateKey, moment: int) -> str:
    """Return the signature line with which the witness `name` says that it saw `note`, at `moment` (Unix time)."""
    signature = struct.pack(">Q", moment) + key.sign(_message(note, moment))
    identified = checkpoint.key_id(name, key.public_key(), KIND) + signature
    return f"{DASH}{name} {base64.b64encode(identified).decode()}\n"


def verify(note: str, verifier: str) -> int:
    """Return when the witness of the `verifier` line cosigned `note` (Unix time); raises CheckpointError."""
    name, public_key = checkpoint.parse_verifier(verifier, KIND)
    for line in note.partition("\n\n")[2].splitlines():
        signer, _, encoded = line.removeprefix(DASH).rpartition(" ")
        if not line.startswith(DASH) or signer != name:
            continue
        signature = decode(encoded)
        if signature[:4] != checkpoint.key_id(name, public_key, KIND) or len(signature) != 4 + 8 + 64:
            continue
        (moment,) = struct.unpack(">Q", signature[4:12])
        try:
            public_key.verify(signature[12:], _message(note, moment))
        except InvalidSignature as error:
            raise CheckpointError("the cosignature does not verify") from error
        return int(moment)
    raise CheckpointError(f"the note has no cosignature of {name}")


def _message(note: str, moment: int) -> bytes:
    body = note.partition("\n\n")[0]
    return f"cosignature/v1\ntime {moment}\n{body}\n".encode()
