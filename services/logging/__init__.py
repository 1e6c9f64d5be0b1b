"""Logging: the NEN 7513 log of the network, append-only and provable."""
