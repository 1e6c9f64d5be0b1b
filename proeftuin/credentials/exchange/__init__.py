"""Presentation exchange (DIF PEX v2): a verifier says what it wants, a holder chooses, the verifier checks; all of it explained."""
