"""The addressing service."""
