"""Verifiable credentials (W3C VC data model 1.1 as JWT), presentations, DIDs, status lists and presentation exchange."""
