"""The datastation: the source, with a door for each kind of question."""
