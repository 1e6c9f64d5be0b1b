"""Consent: what clients decided, and what that means for a question."""
