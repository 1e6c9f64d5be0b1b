"""What an auditor finds: each thing that can be changed in the database is changed, and named."""

import pytest
import sqlalchemy as sa

from proeftuin.transparency import merkle
from proeftuin.transparency.checkpoint import Checkpoint, verifier_line
from proeftuin.transparency.tiles import Tree
from services.logging import store
from services.logging import verify as verification
from services.logging.indexing import patient_token
from services.logging.sequencer import entry
from tests.unit.services.logging.logbook import CLIENT, HOME, OTHER, Logbook, event
from tests.unit.services.logging.test_sequencer import KEY, ORIGIN

pytestmark = pytest.mark.anyio


@pytest.fixture
async def filled(logbook: Logbook) -> Logbook:
    for _ in range(3):
        await logbook.batch(*({"resource": event(HOME, CLIENT)} for _ in range(4)))
    assert logbook.report((logbook.secrets / "index.key").read_bytes()) == verification.Report(12, 4)
    return logbook


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("UPDATE event SET document = replace(document, 'read', 'vread') WHERE seq = 6", "event 6 is not the one"),
        ("UPDATE event SET document = CAST(replace(document, 'read', 'edit') AS BLOB) WHERE seq = 6", "event 6 is not the one"),
        ("UPDATE event SET document = x'00' WHERE seq = 6", "event 6 is not the one"),
        ("UPDATE event SET nonce = x'00' WHERE seq = 6", "event 6 is not the one"),
        ("UPDATE event SET entry = x'7b7d' WHERE seq = 6", "event 6 is not the one"),
        ("UPDATE event SET received = '2020' WHERE seq = 6", "event 6 is not the one"),
        ("UPDATE event SET source = 'another' WHERE seq = 6", "event 6 is not the one"),
        ("DELETE FROM event WHERE seq = 6", "event 6 is missing"),
        ("DELETE FROM event WHERE seq = 11", "event 11 is missing"),
        ("UPDATE event SET seq = 99 WHERE seq = 6", "event 6 is missing"),
        ("DELETE FROM checkpoint WHERE size = 12", "event 8 stands after the last checkpoint"),
        ("DELETE FROM checkpoint", "there is no checkpoint"),
        ("UPDATE checkpoint SET root = zeroblob(32) WHERE size = 8", "checkpoint 8 signed another root"),
        ("UPDATE checkpoint SET size = 7 WHERE size = 8", "checkpoint 7 signed another root"),
        ("UPDATE checkpoint SET note = replace(note, '8', '9') WHERE size = 8", "checkpoint 8: "),
        ("UPDATE checkpoint SET note = (SELECT note FROM checkpoint WHERE size = 4) WHERE size = 8", "checkpoint 8 signed another"),
        ("UPDATE tile SET hashes = zeroblob(384)", "tile 0/0 differs"),
        ("DELETE FROM tile", "tile 0/0 differs"),
        ("UPDATE event SET recorded = '2020-01-01T00:00:00.000Z' WHERE seq = 6", "event 6 is indexed under another recorded"),
        ("UPDATE event SET observer = 'another' WHERE seq = 6", "event 6 is indexed under another observer"),
        ("UPDATE event SET outcome = '8' WHERE seq = 6", "event 6 is indexed under another outcome"),
        ("DELETE FROM subject WHERE seq = 6", "event 6 is indexed for other clients"),
        ("UPDATE event SET event_id = 'another' WHERE seq = 6", "event 6 is kept under another id"),
        ("INSERT INTO subject (patient_token, seq) VALUES ('x', 99)", "a client is indexed for an event that is not there"),
        ("INSERT INTO subject (patient_token, seq) VALUES ('x', -1)", "a client is indexed for an event that is not there"),
    ],
)
async def test_the_first_difference_is_named(filled: Logbook, change: str, fault: str) -> None:
    filled.sql(change)
    report = filled.report((filled.secrets / "index.key").read_bytes())
    assert not report.ok
    assert (report.fault or "").startswith(fault)


async def test_with_the_key_of_the_index_a_hidden_event_is_found(filled: Logbook) -> None:
    key = (filled.secrets / "index.key").read_bytes()
    filled.sql("UPDATE subject SET patient_token = :token WHERE seq = 6", token=patient_token(key, OTHER))
    assert filled.report().ok
    assert filled.report(key).fault == "event 6 is indexed for other clients than its document names"
    filled.sql("UPDATE subject SET patient_token = :token WHERE seq = 6", token=patient_token(key, CLIENT))
    filled.sql("UPDATE event SET agent = 'another' WHERE seq = 7")
    assert filled.report(key).fault == "event 7 is indexed under another agent than its document has"


async def test_a_whole_forged_log_lacks_the_signature(filled: Logbook) -> None:
    """Who rewrites event, tiles, roots and notes alike still has not the key."""

    def forge(connection: sa.Connection) -> None:
        rows = connection.execute(store.events.select().order_by(store.events.c.seq)).all()
        tree, entries = Tree(), []
        for row in rows:
            document = row.document.replace(b'"R"', b'"C"') if row.seq == 2 else row.document
            entries.append(entry(row.received, row.source, row.nonce, document))
            found = store.events.c.seq == row.seq
            action = "C" if row.seq == 2 else row.action
            connection.execute(store.events.update().where(found).values(document=document, entry=entries[-1], action=action))
        for (level, position), hashes in tree.append([merkle.leaf_hash(each) for each in entries]).items():
            store.put_tile(connection, level, position, hashes)
        for size in (4, 8, 12):
            part = Tree()
            part.append([merkle.leaf_hash(each) for each in entries[:size]])
            root = _root(entries[:size])
            note = Checkpoint(ORIGIN, size, root).sign(KEY)
            where = store.checkpoints.c.size == size
            connection.execute(store.checkpoints.update().where(where).values(root=root, note=note))

    filled.database(forge)
    fault = filled.report().fault
    assert fault == "checkpoint 4: the note is no checkpoint of this log"
    own = filled.verifier
    (filled.secrets / "verifier").write_text(verifier_line(ORIGIN, KEY.public_key()))
    assert (filled.report().fault or "").startswith("checkpoint 0: ")  # the first one it forgot
    (filled.secrets / "verifier").write_text(own)


async def test_a_log_of_several_pages_and_tiles_holds(logbook: Logbook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "PAGE", 256)
    for count in (256, 1, 343):
        await logbook.batch(*({"resource": event(HOME, CLIENT)} for _ in range(count)))
    assert logbook.report((logbook.secrets / "index.key").read_bytes()) == verification.Report(600, 4)


@pytest.mark.parametrize(
    ("change", "fault"), [("seq = seq", None), ("nonce = x'00'", "event 150 is not the one that was committed to")]
)
async def test_several_processes_find_what_one_finds(
    logbook: Logbook, monkeypatch: pytest.MonkeyPatch, change: str, fault: str | None
) -> None:
    await logbook.batch(*({"resource": event(HOME, CLIENT)} for _ in range(200)))
    logbook.sql(f"UPDATE event SET {change} WHERE seq = 150")
    monkeypatch.setattr(verification, "PARALLEL", 1)
    monkeypatch.setattr(verification, "processors", lambda: 2)
    assert logbook.report((logbook.secrets / "index.key").read_bytes()).fault == fault


async def test_a_log_that_grows_meanwhile_holds(logbook: Logbook, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events come after the last checkpoint was read, and before the tiles are compared."""
    await logbook.batch(*({"resource": event()} for _ in range(3)))
    more = [{"resource": event()} for _ in range(2)]
    engine = logbook.app.state.service.operator.database.engine
    sequencer_batch = await logbook.batch(*more)
    assert sequencer_batch.status_code == 200
    original, asked = store.last_checkpoint, 0

    def earlier(connection: sa.Connection) -> tuple[int, bytes, str] | None:
        nonlocal asked
        asked += 1
        return (3, b"", "") if asked == 1 else original(connection)

    monkeypatch.setattr(store, "last_checkpoint", earlier)
    with engine.connect() as connection:
        assert verification.verify(connection, logbook.verifier) == verification.Report(3, 2)


def _root(entries: list[bytes]) -> bytes:
    hashes = [merkle.leaf_hash(each) for each in entries]
    while len(hashes) > 1:
        pairs = [hashes[at : at + 2] for at in range(0, len(hashes), 2)]
        hashes = [merkle.node_hash(*pair) if len(pair) == 2 else pair[0] for pair in pairs]
    return hashes[0]
