"""Clients of whom an organisation wants to know who looks: kept as tokens, never as BSNs, and told to nobody."""

import sqlalchemy as sa

from services.logging import store

KINDS = ("staff", "vip")


def replace(connection: sa.Connection, organization: str, tokens: dict[str, set[str]]) -> None:
    """Make `tokens` (by kind) the whole list of `organization` (system|value)."""
    table = store.watched
    connection.execute(table.delete().where(table.c.organization == organization))
    rows = [
        {"organization": organization, "kind": kind, "patient_token": token}
        for kind, found in tokens.items()
        for token in sorted(found)
    ]
    if rows:
        connection.execute(table.insert(), rows)


def known(connection: sa.Connection, organization: str | None) -> dict[tuple[str, str], set[str]]:
    """Return (organization, token) -> kinds, of one organisation or of all."""
    statement = sa.select(store.watched)
    if organization is not None:
        statement = statement.where(store.watched.c.organization == organization)
    found: dict[tuple[str, str], set[str]] = {}
    for row in connection.execute(statement):
        found.setdefault((row.organization, row.patient_token), set()).add(row.kind)
    return found
