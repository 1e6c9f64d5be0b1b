"""The decision point: may this, under these policies, now? And if not: every rule that says no, and what to change."""
