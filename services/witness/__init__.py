"""Witness: cosigns the log's checkpoints, after each has been proven to extend the one before."""
