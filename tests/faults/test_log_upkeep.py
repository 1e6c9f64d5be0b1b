"""kill -9 in the middle of erasing and of archiving a year: nothing is lost or half done, and a second run completes it."""

import asyncio
import contextlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from proeftuin import settings
from proeftuin.sandbox.care_system import CareSystem
from proeftuin.sandbox.home import Home
from proeftuin.sandbox.log_verification import verify, verify_archive
from proeftuin.sandbox.seeding import care_system
from proeftuin.sandbox.topology import NATIONAL, only
from proeftuin.tokens.client import TokenClient
from proeftuin.transport.client import Unreachable
from tests.faults.processes import ROOT, Processes, answers, batch, event, new_id, until

ROUNDS = int(os.environ.get("PROEFTUIN_UPKEEP_ROUNDS", "6"))
EVENTS, BATCH, ORDERED = 6000, 500, 200
YEAR_AND_MORE = 400 * 24 * 3600
PARTY = "ziekenhuis-de-linde"


class Log:
    """The log of `home`, filled with events of last year; `system` is its keeper's."""

    def __init__(self, home: Home, processes: Processes) -> None:
        self.home, self._processes, self.address = home, processes, home.topology.network.logging
        self.system: CareSystem = care_system(home, only(home.seed, NATIONAL["logging"]))

    async def fill(self) -> int:
        """Let the clock of the network be that of last year, and return the year."""
        (self.home.path / "shared" / "clock").write_text(str(-YEAR_AND_MORE))
        for name in ("authorization", "witness", "logging"):
            self._processes.start(name)
        await answers(self.system.client, f"{self.home.topology.network.issuer}/jwks")
        await answers(self.system.client, f"{self.address}/checkpoint")
        sender = care_system(self.home, PARTY)
        tokens = TokenClient(self.home.topology.network.issuer, sender.party.client_id, sender.client)
        clients = [client.bsn for client in self.home.seed.clients]
        for _ in range(EVENTS // BATCH):
            content = batch([event(new_id(), clients[number % len(clients)]) for number in range(BATCH)])
            token = await tokens.token(self.address, "system/AuditEvent.c")
            answer = await sender.client.request(
                "POST", f"{self.address}/fhir", content=content, token=token, content_type="application/fhir+json"
            )
            assert answer.status == 200, answer.body
        await sender.close()
        await until(self._witnessed)
        ((received,),) = self.sql(f"SELECT received FROM event WHERE seq = {EVENTS - 1}")
        return int(received[:4])

    async def restart(self) -> None:
        self._processes.start("logging")
        await answers(self.system.client, f"{self.address}/checkpoint")

    def sql(self, statement: str) -> list[Any]:
        engine = sa.create_engine(settings.load(self.home.settings_file("logging")).tenants[0].database)
        with engine.connect() as connection:
            found = list(connection.execute(sa.text(statement)).all())
        engine.dispose()
        return found

    def empty(self) -> set[int]:
        """The places at which nothing is said any more."""
        return {row.seq for row in self.sql("SELECT seq, document FROM event") if bytes(row.document) == b""}

    def told(self) -> list[dict[str, str]]:
        """What the events of the keeper's own work say: `erased`, or of which file an archive was made."""
        rows = self.sql("SELECT document FROM event WHERE subtype IN ('destroy', 'archive') ORDER BY seq")
        entities = [entity for row in rows for entity in json.loads(bytes(row.document))["entity"] if "detail" in entity]
        return [{each["type"]: each["valueString"] for each in entity["detail"]} for entity in entities]

    async def _witnessed(self) -> bool:
        found = await self.system.client.request("GET", f"{self.address}/checkpoint/witnessed")
        return found.status == 200 and int(found.body.splitlines()[1]) >= EVENTS


def places_in(ranges: str) -> set[int]:
    """The places in "3-5,7-7"."""
    pairs = (each.split("-") for each in ranges.split(","))
    return {place for first, last in pairs for place in range(int(first), int(last) + 1)}


def test_an_erasure_that_is_killed_is_done_and_told_of_or_neither(home: Home, processes: Processes) -> None:
    chance = random.Random(15)
    done: list[set[int]] = []

    async def run() -> None:
        log = Log(home, processes)
        await log.fill()
        gone: set[int] = set()
        for number in range(ROUNDS):
            wanted = range(number * 2 * ORDERED, (number + 1) * 2 * ORDERED, 2)  # every other: a range for each
            order = {"order": f"ECLI:NL:RBPT:2026:{number}", "index": list(wanted)}

            async def erase(order: dict[str, Any] = order) -> bool:
                try:
                    answer = await log.system.client.request("POST", f"{log.address}/retention/erase", content=order)
                except Unreachable:
                    return False
                assert answer.status == 200, answer.body
                return True

            asked = asyncio.create_task(erase())
            await asyncio.sleep(chance.random() * 0.2)  # before it is heard, while it is done, or after
            processes.kill("logging")
            acknowledged = await asked
            found = log.empty() - gone
            assert found in (set(), set(wanted))
            assert not acknowledged or found
            assert [places_in(each["erased"]) for each in log.told() if each["erased"] != "none"] == [
                *done,
                *([found] if found else []),
            ]
            assert verify(home).fault is None
            await log.restart()
            assert await erase()  # the second run
            assert log.empty() == gone | set(wanted)
            gone |= set(wanted)
            done.append(set(wanted))
        assert verify(home).fault is None
        await log.system.close()
        processes.kill_all()

    asyncio.run(asyncio.wait_for(run(), 300))


def test_an_archive_that_is_killed_has_its_name_when_it_is_whole(home: Home, processes: Processes, tmp_path: Path) -> None:
    chance, file = random.Random(19), tmp_path / "year.archive"
    part = file.with_name(f".{file.name}.part")

    async def run() -> None:
        log = Log(home, processes)
        year = await log.fill()
        command = [
            sys.executable,
            "-m",
            "proeftuin",
            "log",
            "archive",
            "--year",
            str(year),
            "--file",
            str(file),
            "--home",
            str(home.path),
        ]
        before = log.sql("SELECT seq, event_id FROM event")
        for number in range(ROUNDS):
            archiver = await asyncio.create_subprocess_exec(
                *command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            while not part.exists() and archiver.returncode is None:  # noqa: ASYNC110 - another process makes it
                await asyncio.sleep(0.005)
            await asyncio.sleep(chance.random() * 0.5)
            if number % 2:
                processes.kill("logging")  # while it is told of, or before: the archiver gives up
                await archiver.wait()
                await log.restart()
            else:
                with contextlib.suppress(ProcessLookupError):  # it was done already
                    archiver.kill()
                await archiver.wait()
            if file.exists():
                assert verify_archive(file, home, None, None).fault is None
                assert log.told()[-1]["file"] == file.name  # none has its name that the log does not tell of
            assert verify(home).fault is None
        done = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        report = verify_archive(file, home, None, None)
        assert report.fault is None
        assert report.events >= EVENTS
        assert not part.exists()
        assert set(before) <= set(log.sql("SELECT seq, event_id FROM event"))  # nothing left the log
        assert log.empty() == set()
        assert verify(home).fault is None
        await log.system.close()
        processes.kill_all()

    asyncio.run(asyncio.wait_for(run(), 300))
