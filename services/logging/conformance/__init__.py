"""Judging what an audit event says: against the profiles of IHE BALP (balp.toml) and the elements of NEN 7513 (nen7513.toml)."""
