"""The witness cosigns what extends the log that it saw, and nothing else; what it saw outlives it."""

import asyncio
import base64
import hashlib
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from proeftuin.transparency import merkle
from proeftuin.transparency.checkpoint import Checkpoint, verifier_line
from proeftuin.transparency.tiles import Tree, hash_at
from proeftuin.transport.client import Answer
from services.witness.app import create_app
from tests.harness import Harness

pytestmark = pytest.mark.anyio
LOG, WITNESS, STRANGER = "logboek", "igj", "ziekenhuis-de-linde"
ORIGIN = "localhost:8445/log"
KEY, OTHER_KEY = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
PLAIN = {"Content-Type": "text/plain"}


class Log:
    """A log of its own: `note` and `proof` of every size; `fork` makes one that is another from there on."""

    def __init__(self, leaves: list[bytes]) -> None:
        self._tiles: dict[tuple[int, int], bytes] = Tree().append([merkle.leaf_hash(leaf) for leaf in leaves])
        self._read = hash_at(lambda level, position: self._tiles.get((level, position), b""))

    def note(self, size: int, key: Ed25519PrivateKey = KEY, origin: str = ORIGIN) -> str:
        return Checkpoint(origin, size, merkle.root(size, self._read)).sign(key)

    def body(self, old: int, size: int, **rest: Any) -> bytes:
        proof = merkle.consistency_proof(old, size, self._read) if 0 < old <= size else []
        lines = [f"old {old}", *(base64.b64encode(each).decode() for each in proof)]
        return ("\n".join(lines) + "\n\n" + self.note(size, **rest)).encode()


LEAVES = [b"%d" % number for number in range(300)]
TRUE, FORK = Log(LEAVES), Log([*LEAVES[:100], b"rewritten", *LEAVES[101:]])


def application(harness: Harness, line: str = verifier_line(ORIGIN, KEY.public_key())) -> Any:
    app = create_app(harness.settings, harness.wiring)

    async def key_of_the_log(*_: Any, **__: Any) -> Answer:
        return Answer(200, {}, line.encode())

    for tenant in app.state.service.tenants.values():
        tenant.client.request = key_of_the_log
    return app


@pytest.fixture
async def harness(tmp_path: Path, database_url: str) -> AsyncIterator[Harness]:
    made = Harness(tmp_path, "witness", [WITNESS], database_url)
    async with made.running(application(made)):
        yield made


async def add(harness: Harness, body: bytes, party: str = LOG) -> httpx.Response:
    return await harness.call("POST", "/add-checkpoint", party=party, headers=PLAIN, content=body)


def check(line: str, note: str, verifier: str, now: float) -> None:
    """Verify a cosignature by the words of C2SP tlog-cosignature, without the code under test."""
    name, _, rest = verifier.partition("+")
    raw = base64.b64decode(rest.partition("+")[2])
    identified = base64.b64decode(line.removeprefix(f"\u2014 {name} "))
    assert identified[:4] == hashlib.sha256(f"{name}\n".encode() + raw).digest()[:4]
    (moment,) = struct.unpack(">Q", identified[4:12])
    message = f"cosignature/v1\ntime {moment}\n".encode() + note.split("\n\n", maxsplit=1)[0].encode() + b"\n"
    Ed25519PublicKey.from_public_bytes(raw[1:]).verify(identified[12:], message)
    assert (raw[:1], abs(moment - now) < 2) == (b"\x04", True)


async def test_what_extends_the_log_is_cosigned(harness: Harness) -> None:
    verifier = (await harness.call("GET", "/key", party=STRANGER)).text
    for old, size in ((0, 3), (3, 3), (3, 256), (256, 300)):
        answer = await add(harness, TRUE.body(old, size))
        assert answer.status_code == 200, answer.text
        check(answer.text.rstrip("\n"), TRUE.note(size), verifier, harness.clock.now().timestamp())
    seen = await harness.call("GET", "/checkpoint", party=STRANGER, params={"origin": ORIGIN})
    assert seen.text == TRUE.note(300)
    assert await harness.logged() == []  # else the log would grow by being witnessed


async def test_a_rewritten_log_is_refused_and_the_refusal_logged(harness: Harness) -> None:
    assert (await add(harness, TRUE.body(0, 200))).status_code == 200
    answer = await add(harness, FORK.body(200, 300))
    assert (answer.status_code, answer.headers["X-Reason"]) == (422, "split_view")
    same_size = await add(harness, FORK.body(200, 200))
    assert (same_size.status_code, same_size.text) == (409, "200\n")
    assert [event["outcomeDesc"].partition(":")[0] for event in await harness.logged()] == ["split_view", "checkpoint_stale"]
    assert (await add(harness, TRUE.body(200, 300))).status_code == 200


async def test_another_start_is_answered_with_the_size_that_was_seen(harness: Harness) -> None:
    await add(harness, TRUE.body(0, 200))
    for old in (0, 100, 250):
        answer = await add(harness, TRUE.body(old, 300))
        assert (answer.status_code, answer.headers["Content-Type"].partition(";")[0]) == (409, "text/x.tlog.size")
        assert answer.text == "200\n"


async def test_two_at_once_do_not_both_become_the_newest(harness: Harness) -> None:
    await add(harness, TRUE.body(0, 90))
    answers = await asyncio.gather(add(harness, TRUE.body(90, 300)), add(harness, FORK.body(90, 300)))
    assert sorted(answer.status_code for answer in answers) == [200, 409]


async def test_what_was_seen_and_the_pinned_key_outlive_a_restart(tmp_path: Path, database_url: str) -> None:
    harness = Harness(tmp_path, "witness", [WITNESS], database_url)
    async with harness.running(application(harness)):
        await add(harness, TRUE.body(0, 200))
    async with harness.running(application(harness, verifier_line(ORIGIN, OTHER_KEY.public_key()))):
        assert (await add(harness, FORK.body(200, 300))).status_code == 422
        assert (await add(harness, TRUE.body(200, 300, key=OTHER_KEY))).headers["X-Reason"] == "checkpoint_unsigned"
        assert (await add(harness, TRUE.body(200, 300))).status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (TRUE.body(0, 200, key=OTHER_KEY), 403, "checkpoint_unsigned"),
        (TRUE.body(0, 200, origin="localhost:1/log"), 404, "not_found"),
        (b"old 7" + TRUE.body(0, 5).removeprefix(b"old 0"), 400, "malformed"),
        (TRUE.body(0, 200).replace(b"old 0", b"old 00"), 400, "malformed"),
        (TRUE.body(0, 200).replace(b"old 0", b"old 0\nAAAA"), 400, "malformed"),
        (TRUE.body(0, 200).replace(b"old 0", b"old 0\n" + base64.b64encode(bytes(32))), 422, "split_view"),
        (TRUE.body(0, 200).replace(b"old 0", b"old 0" + (b"\n" + base64.b64encode(bytes(32))) * 64), 400, "malformed"),
        (b"old 0\n\n", 404, "not_found"),
        (b"", 400, "malformed"),
        (b"\xff\xfe", 400, "malformed"),
        (TRUE.body(0, 200)[:-30], 403, "checkpoint_unsigned"),
    ],
)
async def test_what_is_no_proof_is_refused(harness: Harness, body: bytes, status: int, reason: str) -> None:
    answer = await add(harness, body)
    assert (answer.status_code, answer.headers["X-Reason"]) == (status, reason), answer.text
    assert len(await harness.logged()) == 1
    assert (await add(harness, TRUE.body(0, 200))).status_code == 200


async def test_only_the_log_shows_its_checkpoints(harness: Harness) -> None:
    assert (await add(harness, TRUE.body(0, 200), STRANGER)).headers["X-Reason"] == "party_mismatch"
    unseen = await harness.call("GET", "/checkpoint", party=STRANGER, params={"origin": ORIGIN})
    assert unseen.headers["X-Reason"] == "not_found"
