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
    """The right edge of the tree: `edge[L]` are the hashes of the last tile of level L, fewer than 256 of them."""

    size: int = 0
    edge: list[bytes] = field(default_factory=lambda: [b""])

    @classmethod
    def load(cls, size: int, load: LoadTile) -> "Tree":
        """Take up a stored tree of `size` leaves."""
        edge: list[bytes] = []
        count = size
        while True:
            kept = count % WIDTH
            edge.append(load(len(edge), count // WIDTH)[: kept * SIZE] if kept else b"")
            count //= WIDTH
            if count == 0:
                return cls(size, edge)

    def append(self, leaves: list[bytes]) -> dict[Tile, bytes]:
        """Add leaf hashes; returns every tile that changed, with its hashes joined, to be stored in the same transaction."""
        changed: dict[Tile, bytes] = {}
        for leaf in leaves:
            self._add(0, self.size, leaf, changed)
            self.size += 1
        for level, hashes in enumerate(self.edge):
            if hashes:
                changed[level, (self.size >> HEIGHT * level) // WIDTH] = hashes
        return changed

    def _add(self, level: int, count: int, hash_: bytes, changed: dict[Tile, bytes]) -> None:
        if level == len(self.edge):
            self.edge.append(b"")
        self.edge[level] += hash_
        if len(self.edge[level]) == WIDTH * SIZE:
            changed[level, count // WIDTH] = self.edge[level]
            top = subtree(self.edge[level])
            self.edge[level] = b""
            self._add(level + 1, count // WIDTH, top, changed)


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
