"""Proof that a log was not rewritten: Merkle tree (RFC 9162), tiles and checkpoints (C2SP)."""
