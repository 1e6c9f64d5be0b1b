"""The logging service: intake, search, the client's overview, proofs, and what is found when the log is touched."""
