"""The forms in which Mitz is spoken to, as VZVZ's wiki has them, answered from the consents of this register."""
