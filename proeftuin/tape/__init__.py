"""The tape: what went over each listener of a sandbox, for engineers, without anything that could be used again."""
