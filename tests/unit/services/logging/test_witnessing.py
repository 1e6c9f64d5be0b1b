"""The log and its witness: what was shown once cannot be taken back, not even by who holds the log's key."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from proeftuin.transparency import checkpoint, cosignature
from proeftuin.transport.client import Answer
from services.logging.verify import verify
from services.logging.witnessing import Witnessing, WitnessRefusedError
from services.witness.app import create_app
from tests.harness import BASE, Harness
from tests.unit.services.logging.logbook import CLIENT, HOME, REGISTER, Logbook, event

pytestmark = pytest.mark.anyio


class Wire:
    """What a PeerClient is, from one service under test to another."""

    def __init__(self, to: Harness, party: str) -> None:
        self._to, self._party = to, party

    async def request(self, method: str, url: str, *, body: bytes | None = None, content_type: str = "", **_: Any) -> Answer:
        headers = {"Content-Type": content_type} if content_type else {}
        answer = await self._to.call(method, url.removeprefix(BASE), party=self._party, headers=headers, content=body)
        return Answer(answer.status_code, answer.headers, answer.content)

    async def close(self) -> None:
        pass


@pytest.fixture
async def witness(logbook: Logbook, tmp_path: Path) -> AsyncIterator[Harness]:
    made = Harness(tmp_path / "witness", "witness", ["igj"])
    app = create_app(made.settings, made.wiring)
    app.state.service.operator.client = Wire(logbook, "igj")
    async with made.running(app):
        yield made


@pytest.fixture
def witnessing(logbook: Logbook, witness: Harness) -> Witnessing:
    return Witnessing(logbook.app.state.service.operator.database, Wire(witness, REGISTER), BASE, logbook.secrets / "cosigner")


async def test_the_newest_checkpoint_is_cosigned_and_shown_with_the_overview(
    logbook: Logbook, witness: Harness, witnessing: Witnessing
) -> None:
    assert (await logbook.open("/checkpoint/witnessed")).headers["X-Reason"] == "not_found"
    for _ in range(3):
        await logbook.post(event(HOME, CLIENT))
        await witnessing.show()
    await witnessing.show()  # nothing new: nothing to do
    note = (await logbook.open("/checkpoint/witnessed")).text
    verifier = (await witness.call("GET", "/key", party=REGISTER)).text
    assert checkpoint.verify(note, logbook.verifier).size == 3
    assert abs(cosignature.verify(note, verifier) - witness.clock.now().timestamp()) < 2
    with pytest.raises(checkpoint.CheckpointError):
        cosignature.verify(note.replace("\n3\n", "\n4\n"), verifier)
    await logbook.post(event(HOME, CLIENT))
    overview = (await logbook.inspect()).json()
    assert overview["witnessed"]["checkpoint"] == note
    assert len(overview["witnessed"]["consistency"]) > 0


async def test_a_cosignature_that_was_lost_on_its_way_is_asked_anew(logbook: Logbook, witnessing: Witnessing) -> None:
    for _ in range(2):
        await logbook.post(event(HOME))
        await witnessing.show()
        logbook.sql("DELETE FROM cosignature")
    await logbook.post(event(HOME))
    await witnessing.show()
    assert checkpoint.verify((await logbook.open("/checkpoint/witnessed")).text, logbook.verifier).size == 3


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("UPDATE cosignature SET line = replace(line, 'localhost', 'remotehost')", "checkpoint 1: the note has no cosignature"),
        ("UPDATE cosignature SET size = 2", "checkpoint 2: the cosignature does not verify"),
        ("UPDATE cosignature SET size = 9", "checkpoint 9, which the witness cosigned, is missing"),
    ],
)
async def test_an_auditor_verifies_cosignatures_too(logbook: Logbook, witnessing: Witnessing, change: str, fault: str) -> None:
    await logbook.post(event(HOME))
    await witnessing.show()
    await logbook.post(event(HOME))
    cosigner = witnessing.pinned.read_text()
    assert logbook.database(lambda connection: verify(connection, logbook.verifier, None, cosigner)).ok
    logbook.sql(change)
    report = logbook.database(lambda connection: verify(connection, logbook.verifier, None, cosigner))
    assert report.fault.startswith(fault)


async def test_a_log_restored_from_an_older_copy_is_refused(logbook: Logbook, witness: Harness, tmp_path: Path) -> None:
    database = Path(str(logbook.settings.tenants[0].database).removeprefix("sqlite:///"))
    await logbook.post(event(HOME))
    logbook.sql("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(database, tmp_path / "older")
    await logbook.post(event(HOME))
    wire: Any = Wire(witness, REGISTER)
    await Witnessing(logbook.app.state.service.operator.database, wire, BASE, tmp_path / "cosigner").show()
    older = Logbook(tmp_path / "restored")
    older.app.state.service.operator.database.engine.dispose()
    for rest in older.settings.tenants[0].folder.glob("*.sqlite*"):
        rest.unlink()
    shutil.copy(tmp_path / "older", str(older.settings.tenants[0].database).removeprefix("sqlite:///"))
    for name in ("checkpoint.key", "index.key", "verifier"):
        shutil.copy(logbook.secrets / name, older.secrets / name)
    app = older.another()
    async with older.running(app):
        restored = Witnessing(app.state.service.operator.database, wire, BASE, tmp_path / "cosigner")
        with pytest.raises(WitnessRefusedError, match="its end was cut off"):
            await restored.show()
        for _ in range(2):  # as long as before, with the log's own key, and yet another
            await older.post(event(HOME))
            with pytest.raises(WitnessRefusedError, match=r"409|422"):
                await restored.show()
        await restored._run()
        assert restored.health()["status"] == "down"
