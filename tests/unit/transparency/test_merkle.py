"""The tree against an independent implementation: the recursive definitions of RFC 9162 §2.1, word for word."""

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from proeftuin.transparency import checkpoint, merkle, tiles


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def split(size: int) -> int:
    return max(1 << power for power in range(size.bit_length()) if 1 << power < size)


def mth(data: list[bytes]) -> bytes:
    if len(data) < 2:
        return sha(b"\x00" + data[0]) if data else sha(b"")
    k = split(len(data))
    return sha(b"\x01" + mth(data[:k]) + mth(data[k:]))


def path(m: int, data: list[bytes]) -> list[bytes]:
    if len(data) == 1:
        return []
    k = split(len(data))
    return [*path(m, data[:k]), mth(data[k:])] if m < k else [*path(m - k, data[k:]), mth(data[:k])]


def proof(m: int, data: list[bytes]) -> list[bytes]:
    def subproof(m: int, data: list[bytes], whole: bool) -> list[bytes]:
        if m == len(data):
            return [] if whole else [mth(data)]
        k = split(len(data))
        if m <= k:
            return [*subproof(m, data[:k], whole), mth(data[k:])]
        return [*subproof(m - k, data[k:], False), mth(data[:k])]

    return subproof(m, data, True)


def grown(batches: list[int]) -> tuple[list[bytes], merkle.HashAt]:
    tree, stored, data = tiles.Tree(), dict[tuple[int, int], bytes](), list[bytes]()

    def load(level: int, index: int) -> bytes:
        return stored.get((level, index), b"")

    for size in batches:
        new = [b"%d" % (len(data) + number) for number in range(size)]
        data += new
        stored |= tree.append([merkle.leaf_hash(each) for each in new])
        assert tiles.Tree.load(tree.size, load).append([]) == tree.append([])
    return data, tiles.hash_at(load)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=4), st.data())
def test_root_and_proofs_are_those_of_the_rfc(batches: list[int], draw: st.DataObject) -> None:
    data, at = grown(batches)
    size = len(data)
    index, old = draw.draw(st.integers(0, size - 1)), draw.draw(st.integers(1, size))
    assert merkle.root(size, at) == mth(data)
    inclusion, consistency = merkle.inclusion_proof(index, size, at), merkle.consistency_proof(old, size, at)
    assert inclusion == path(index, data)
    assert consistency == proof(old, data)
    merkle.verify_inclusion(merkle.leaf_hash(data[index]), index, size, inclusion, mth(data))
    merkle.verify_consistency(old, size, consistency, mth(data[:old]), mth(data))


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 70), st.data())
def test_a_changed_proof_fails(size: int, draw: st.DataObject) -> None:
    data, at = grown([size])
    index, old = draw.draw(st.integers(0, size - 1)), draw.draw(st.integers(1, size - 1))
    inclusion, consistency = merkle.inclusion_proof(index, size, at), merkle.consistency_proof(old, size, at)
    for wrong in _changes(inclusion, draw):
        with pytest.raises(merkle.ProofError):
            merkle.verify_inclusion(merkle.leaf_hash(data[index]), index, size, wrong, mth(data))
    for wrong in _changes(consistency, draw):
        with pytest.raises(merkle.ProofError):
            merkle.verify_consistency(old, size, wrong, mth(data[:old]), mth(data))
    with pytest.raises(merkle.ProofError):
        merkle.verify_inclusion(merkle.leaf_hash(b"another"), index, size, inclusion, mth(data))


def _changes(right: list[bytes], draw: st.DataObject) -> list[list[bytes]]:
    place, byte = draw.draw(st.integers(0, len(right) - 1)), draw.draw(st.integers(0, 31))
    flipped = bytearray(right[place])
    flipped[byte] ^= 1
    return [right[:-1], [*right, bytes(32)], [*right[:place], bytes(flipped), *right[place + 1 :]]]


def test_a_checkpoint_is_verified_by_its_own_key_alone() -> None:
    key, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    note = checkpoint.Checkpoint("example.org/log", 7, bytes(range(32)))
    signed = note.sign(key)
    assert checkpoint.verify(signed, checkpoint.verifier_line("example.org/log", key.public_key())) == note
    sizes = [signed.replace("\n7\n", f"\n{size}\n") for size in ("8", "07", "-7", "\u0667", "9" * 5000)]  # int() refuses above 4300
    for text, signer in (*((each, key) for each in sizes), (signed, other), ("", key), (signed[:-20], key)):
        with pytest.raises(checkpoint.CheckpointError):
            checkpoint.verify(text, checkpoint.verifier_line("example.org/log", signer.public_key()))
