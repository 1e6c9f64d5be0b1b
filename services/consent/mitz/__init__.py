"""The forms in which Mitz is spoken to (logging-consent.md §6), answered from the consents of this register."""
