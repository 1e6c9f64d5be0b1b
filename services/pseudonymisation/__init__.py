"""Pseudonymisation: evaluates blinded identifiers, sees none of them."""
