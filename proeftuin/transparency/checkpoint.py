"""Signed checkpoints of a log (C2SP tlog-checkpoint, signed-note) with Ed25519."""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519 = b"\x01"
DASH = "\N{EM DASH} "


class CheckpointError(ValueError):
    """A note is not a checkpoint, or not signed by the key that it should be signed by."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a log: its origin, the number of leaves and the root hash (32 bytes)."""

    origin: str
    size: int
    root: bytes

    def body(self) -> str:
        """Return the text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    def sign(self, key: Ed25519PrivateKey) -> str:
        """Return the signed note; the key's name is the origin."""
        signature = _own_key_id(self.origin, key) + key.sign(self.body().encode())
        return f"{self.body()}\n{DASH}{self.origin} {base64.b64encode(signature).decode()}\n"


def verify(note: str, verifier: str) -> Checkpoint:
    """Return the checkpoint in `note` when the key of the `verifier` line signed it; raises CheckpointError."""
    name, public_key = parse_verifier(verifier)
    body, _, signatures = note.partition("\n\n")
    body += "\n"
    lines = body.split("\n")
    if len(lines) < 4 or lines[0] != name or not re.fullmatch("0|[1-9][0-9]{0,18}", lines[1]):
        raise CheckpointError("the note is no checkpoint of this log")
    for line in signatures.splitlines():
        signer, _, encoded = line.removeprefix(DASH).rpartition(" ")
        if not line.startswith(DASH) or signer != name:
            continue
        signature = decode(encoded)
        if signature[:4] != key_id(name, public_key):
            continue
        try:
            public_key.verify(signature[4:], body.encode())
        except InvalidSignature as error:
            raise CheckpointError("the signature does not verify") from error
        root = decode(lines[2])
        if len(root) != 32:
            raise CheckpointError("the root is not 32 bytes")
        return Checkpoint(name, int(lines[1]), root)
    raise CheckpointError("the note has no signature of this key")


def key_id(name: str, public_key: Ed25519PublicKey, kind: bytes = ED25519) -> bytes:
    """Return the four bytes by which a note names its key; `kind` is the type byte of the signature."""
    return hashlib.sha256(name.encode() + b"\n" + kind + public_key.public_bytes_raw()).digest()[:4]


@lru_cache(maxsize=16)  # who signs, signs thousands of notes with one key
def _own_key_id(name: str, key: Ed25519PrivateKey) -> bytes:
    return key_id(name, key.public_key())


def verifier_line(name: str, public_key: Ed25519PublicKey, kind: bytes = ED25519) -> str:
    """Return the public key as `<name>+<hex key id>+<base64 of type and key>`."""
    encoded = base64.b64encode(kind + public_key.public_bytes_raw()).decode()
    return f"{name}+{key_id(name, public_key, kind).hex()}+{encoded}"


@lru_cache(maxsize=16)  # who verifies a log verifies thousands of notes with one key
def parse_verifier(line: str, kind: bytes = ED25519) -> tuple[str, Ed25519PublicKey]:
    """Read a verifier line; raises CheckpointError."""
    name, _, rest = line.strip().partition("+")
    hexadecimal, _, encoded = rest.partition("+")
    key = decode(encoded)
    if len(key) != 33 or key[:1] != kind:
        raise CheckpointError("the verifier line holds no Ed25519 key")
    public_key = Ed25519PublicKey.from_public_bytes(key[1:])
    if key_id(name, public_key, kind).hex() != hexadecimal:
        raise CheckpointError("the verifier line names another key")
    return name, public_key


def decode(text: str) -> bytes:
    """Read standard base64; raises CheckpointError."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise CheckpointError("the base64 is malformed") from error
