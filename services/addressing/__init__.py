"""Addressing: who is in the network, and where."""
