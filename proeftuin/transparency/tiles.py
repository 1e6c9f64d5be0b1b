"""A growing tree kept as tiles of 256 hashes (C2SP tlog-tiles): what must be stored after an append, and proofs from what is."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from proeftuin.transparency import merkle

WIDTH, HEIGHT, SIZE = 256, 8, 32
Tile = tuple[int, int]  # (tile level, index); tile level L holds hashes of subtrees of 2**(8*L) leaves
LoadTile = Callable[[int, int], bytes]  # gives the stored hashes of a tile, joined; b"" when there is none


@dataclass(slots=True)
class Tree:
    """The right edge of the tree: `edge[L]` are the hashes of the last tile of level L, fewer than 256 of them.

    `peaks` are the roots of the complete subtrees, largest first: the root is at hand after every append.
    """

    size: int = 0
    edge: list[bytes] = field(default_factory=lambda: [b""])
    peaks: list[bytes] = field(default_factory=list)

    @classmethod
    def load(cls, size: int, load: LoadTile) -> "Tree":
        """Take up a stored tree of `size` leaves; raises LookupError when a tile lacks hashes."""
        edge: list[bytes] = []
        count = size
        while True:
            kept = count % WIDTH
            hashes = load(len(edge), count // WIDTH)[: kept * SIZE] if kept else b""
            if len(hashes) != kept * SIZE:
                raise LookupError(f"tile {len(edge)}/{count // WIDTH} lacks hashes")
            edge.append(hashes)
            count //= WIDTH
            if count == 0:
                return cls(size, edge, [peak for hashes in reversed(edge) for peak in _peaks(hashes)])

    def append(self, leaves: list[bytes]) -> dict[Tile, bytes]:
        """Add leaf hashes; returns every tile that changed, with its hashes joined, to be stored in the same transaction."""
        changed: dict[Tile, bytes] = {}
        edge, peaks, touched = self.edge, self.peaks, 0
        for leaf in leaves:
            edge[0] += leaf
            hash_, height, left = leaf, 0, self.size
            while left & 1:
                hash_ = merkle.node_hash(peaks.pop(), hash_)
                height, left = height + 1, left >> 1
                if height % HEIGHT == 0:
                    level = height // HEIGHT
                    if level == len(edge):
                        edge.append(b"")
                    changed[level - 1, self.size >> height] = edge[level - 1]
                    edge[level - 1] = b""
                    edge[level] += hash_
                    touched = max(touched, level)
            peaks.append(hash_)
            self.size += 1
        for level in range(touched + 1 if leaves else 0):
            if edge[level]:
                changed[level, (self.size >> HEIGHT * level) // WIDTH] = edge[level]
        return changed

    def root(self) -> bytes:
        """Return the root of the whole tree."""
        return joined(self.peaks[:-1], self.peaks[-1]) if self.peaks else merkle.EMPTY_ROOT


def joined(peaks: list[bytes], last: bytes) -> bytes:
    """Return the root of a tree that consists of complete subtrees, largest first, and what comes after them."""
    for left in reversed(peaks):
        last = merkle.node_hash(left, last)
    return last


def _peaks(hashes: bytes) -> list[bytes]:
    """The roots of the complete subtrees in the hashes of a tile that is not full."""
    found: list[bytes] = []
    while hashes:
        width = SIZE << (len(hashes) // SIZE).bit_length() - 1
        found.append(subtree(hashes[:width]))
        hashes = hashes[width:]
    return found


def hash_at(load: LoadTile, *, keep: int = 64) -> merkle.HashAt:
    """Return the reader of subtree hashes from stored tiles that proofs are made with; it keeps the last `keep` tiles."""
    load = lru_cache(maxsize=keep)(load)

    def at(level: int, index: int) -> bytes:
        height = level % HEIGHT
        first = index << height
        offset = first % WIDTH * SIZE
        hashes = load(level // HEIGHT, first // WIDTH)[offset : offset + (SIZE << height)]
        if len(hashes) != SIZE << height:
            raise LookupError(f"tile {level // HEIGHT}/{first // WIDTH} lacks hashes")
        return subtree(hashes)

    return at


def subtree(hashes: bytes) -> bytes:
    """Return the root over a power of two of joined hashes."""
    row = [hashes[at : at + SIZE] for at in range(0, len(hashes), SIZE)]
    while len(row) > 1:
        row = [merkle.node_hash(row[at], row[at + 1]) for at in range(0, len(row), 2)]
    return row[0]
