"""The log on PostgreSQL: a partition for each month of arrival, rows by COPY, and one table that knows every delivery.

A unique index of a partitioned table holds within one partition only. That no place and no delivery (source and id) stands in the
log twice is held by `delivery`, which is not partitioned.
"""

from typing import Any

import sqlalchemy as sa

metadata = sa.MetaData()
deliveries = sa.Table(
    "delivery",
    metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("source", sa.String(64), nullable=False),
    sa.Column("event_id", sa.String(36), nullable=False),
    sa.Column("received", sa.String(32), nullable=False),  # leads to the partition
    sa.UniqueConstraint("source", "event_id", name="delivery_once"),
)
PARTITIONED = {"event": "seq, received", "subject": "patient_token, seq, received"}  # -> primary key
_TYPES = {sa.BigInteger: "int8", sa.Integer: "int4", sa.Text: "text", sa.String: "varchar", sa.LargeBinary: "bytea",
          sa.Boolean: "bool"}  # fmt: skip
COPIED = 8  # rows from which on COPY costs less than INSERT


def ensure_month(connection: sa.Connection, received: str) -> None:
    """Make the partitions of the month of `received` when they are not there; they are attached, which stops no reader."""
    month = received[:7]
    year, number = int(month[:4]), int(month[5:])
    until = f"{year + number // 12:04d}-{number % 12 + 1:02d}"
    for table in PARTITIONED:
        name = f"{table}_{year:04d}_{number:02d}"
        if connection.scalar(sa.text("SELECT to_regclass(:name)"), {"name": name}) is None:
            connection.exec_driver_sql(f"CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")
            connection.exec_driver_sql(f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{month}') TO ('{until}')")


def add(connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    """Add rows to a table, many of them by COPY in binary form."""
    if len(rows) < COPIED:
        connection.execute(table.insert(), rows)
        return
    columns = [column for column in table.c if column.name in rows[0]]
    names = [column.name for column in columns]
    driver: Any = connection.connection
    statement = f"COPY {table.name} ({', '.join(names)}) FROM STDIN (FORMAT BINARY)"
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types([_TYPES[type(column.type)] for column in columns])
        for row in rows:
            copy.write_row([row[name] for name in names])


def convert(connection: sa.Connection) -> None:
    """Turn the tables of a log into partitioned ones, with all that they hold and every index; raises RuntimeError at a difference.

    All in the transaction of `connection`. It takes the room of the log once more while it runs.
    """
    metadata.create_all(connection)
    inspector = sa.inspect(connection)
    indexes = {table: [each for each in inspector.get_indexes(table) if not each["unique"]] for table in PARTITIONED}
    for table in PARTITIONED:
        connection.exec_driver_sql(f"ALTER TABLE {table} RENAME TO {table}_before")
        connection.exec_driver_sql(f"CREATE TABLE {table} (LIKE {table}_before INCLUDING DEFAULTS) PARTITION BY RANGE (received)")
        connection.exec_driver_sql(f"ALTER TABLE {table} ALTER received SET NOT NULL")
    for month in connection.scalars(sa.text("SELECT DISTINCT substr(received, 1, 7) FROM event_before ORDER BY 1")).all():
        ensure_month(connection, month)
    copied = [("event", "*", "event_before"), ("subject", "*", "subject_before")]
    for target, columns, source in (*copied, ("delivery", "seq, source, event_id, received", "event_before")):
        connection.exec_driver_sql(f"INSERT INTO {target} SELECT {columns} FROM {source}")  # noqa: S608 - names of our own
        counts = [connection.scalar(sa.text(f"SELECT count(*) FROM {table}")) for table in (target, source)]  # noqa: S608 - as above
        if counts[0] != counts[1]:
            raise RuntimeError(f"{target} would hold {counts[0]} rows of {counts[1]}")
    for table, key in PARTITIONED.items():
        connection.exec_driver_sql(f"DROP TABLE {table}_before")
        connection.exec_driver_sql(f"ALTER TABLE {table} ADD PRIMARY KEY ({key})")
        for index in indexes[table]:
            names = ", ".join(str(name) for name in index["column_names"])
            connection.exec_driver_sql(f"CREATE INDEX {index['name']} ON {table} ({names})")
    connection.exec_driver_sql("CREATE INDEX ix_event_delivered ON event (source, event_id)")
