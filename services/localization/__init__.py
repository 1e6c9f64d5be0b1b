"""Localization: which party holds which category of data on whom, by pseudonym."""
