"""Statements on the path of each request: compiled once for a database, where SQLAlchemy would ask its compiler at each call."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

Values = Mapping[str, Any]


class Prepared:
    """A statement of which `bindparam` names the values; of an insert they are the columns `names` (when none is named: all).

    Values go to the driver and come from it as they are: for columns of text, whole numbers and bytes.
    """

    def __init__(self, statement: sa.Insert | sa.Update | sa.Delete | sa.Select[Any], *names: str) -> None:
        self._statement = statement.inline() if isinstance(statement, sa.Insert) else statement  # inline: asks no new key back
        self._names = list(names) or None
        self._compiled: dict[str, tuple[str, Sequence[str] | None]] = {}  # by dialect: text, order where places have no names

    def __call__(self, connection: sa.Connection, values: Values) -> sa.CursorResult[Any]:
        """Carry it out in the transaction of `connection`; raises what the driver raises, as SQLAlchemy names it."""
        text, order = self._text(connection)
        return connection.exec_driver_sql(text, dict(values) if order is None else tuple([values[name] for name in order]))

    def many(self, connection: sa.Connection, rows: Sequence[Values]) -> None:
        """Carry it out once for each of the rows."""
        text, order = self._text(connection)
        given: Any = list(map(dict, rows)) if order is None else [tuple([row[name] for name in order]) for row in rows]
        connection.exec_driver_sql(text, given)

    def _text(self, connection: sa.Connection) -> tuple[str, Sequence[str] | None]:
        dialect = connection.dialect
        if dialect.name not in self._compiled:
            compiled: Any = self._statement.compile(dialect=dialect, column_keys=self._names)
            self._compiled[dialect.name] = (str(compiled), compiled.positiontup)
        return self._compiled[dialect.name]
