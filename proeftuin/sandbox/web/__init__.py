"""The console: what an engineer, and a client of care, sees of the sandbox in a browser on the same machine."""
