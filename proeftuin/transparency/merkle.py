"""The Merkle tree of RFC 9162 §2.1: hashes, root, inclusion and consistency proofs, and their verification."""

import hashlib
from collections.abc import Callable, Sequence

HashAt = Callable[[int, int], bytes]  # (level, index) -> hash of the complete subtree of 2**level leaves
EMPTY_ROOT = hashlib.sha256(b"").digest()


class ProofError(ValueError):
    """A proof does not hold."""


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of a leaf."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(size: int, hash_at: HashAt) -> bytes:
    """Return the root of the tree of the first `size` leaves."""
    return EMPTY_ROOT if size == 0 else _range(0, size, hash_at)


def inclusion_proof(index: int, size: int, hash_at: HashAt) -> list[bytes]:
    """Return the audit path of leaf `index` in the tree of `size` leaves (§2.1.3.1); raises ValueError outside the tree."""
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not in a tree of {size}")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_range(middle, end, hash_at))
            end = middle
        else:
            path.append(_range(start, middle, hash_at))
            start = middle
    return path[::-1]


def consistency_proof(old: int, new: int, hash_at: HashAt) -> list[bytes]:
    """Return the proof that the tree of `old` leaves is a prefix of that of `new` (§2.1.4.1); raises ValueError outside it."""
    if not 0 < old <= new:
        raise ValueError(f"no consistency proof from {old} to {new}")
    if old == new:
        return []
    path: list[bytes] = []
    start, end, whole = 0, new, True
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(_range(middle, end, hash_at))
            end = middle
        else:
            path.append(_range(start, middle, hash_at))
            start, whole = middle, False
    if not whole:
        path.append(_range(start, end, hash_at))
    return path[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], expected: bytes) -> None:
    """Check that `leaf` (a leaf hash) stands at `index` in the tree with root `expected` (§2.1.3.2); raises ProofError."""
    if not 0 <= index < size:
        raise ProofError("the index is outside the tree")
    fn, sn, current = index, size - 1, leaf
    for hash_ in path:
        if sn == 0:
            raise ProofError("the path is too long")
        if fn & 1 or fn == sn:
            current = node_hash(hash_, current)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            current = node_hash(current, hash_)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0:
        raise ProofError("the path is too short")
    if current != expected:
        raise ProofError("the path does not lead to the root")


def verify_consistency(old: int, new: int, path: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:
    """Check that the tree of `old_root` is a prefix of that of `new_root` (§2.1.4.2); raises ProofError."""
    if not 0 < old <= new:
        raise ProofError("the sizes do not fit")
    if old == new:
        if path or old_root != new_root:
            raise ProofError("two roots of the same size")
        return
    if not path:
        raise ProofError("the path is empty")
    hashes = list(path) if old & (old - 1) else [old_root, *path]
    fn, sn = old - 1, new - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    first = second = hashes[0]
    for hash_ in hashes[1:]:
        if sn == 0:
            raise ProofError("the path is too long")
        if fn & 1 or fn == sn:
            first, second = node_hash(hash_, first), node_hash(hash_, second)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            second = node_hash(second, hash_)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0:
        raise ProofError("the path is too short")
    if first != old_root or second != new_root:
        raise ProofError("the path does not lead to both roots")


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


def _range(start: int, end: int, hash_at: HashAt) -> bytes:
    """The root of the leaves [start, end), where `start` is a multiple of every complete subtree that the range begins with."""
    parts: list[bytes] = []
    while start < end:
        width = 1 << (end - start).bit_length() - 1
        level = width.bit_length() - 1
        parts.append(hash_at(level, start >> level))
        start += width
    result = parts.pop()
    while parts:
        result = node_hash(parts.pop(), result)
    return result
