"""Status lists in both dialects: a bit tells, the list is verified, an unchanged one is not read again, silence permits nothing."""

import base64
import gzip
from typing import Any

import pytest

from proeftuin.credentials import credential, status
from proeftuin.credentials.status import Dialect, StatusRef
from proeftuin.reasons import Refused
from tests.unit.credentials.world import HOST, REGISTER, VENDOR, World

pytestmark = pytest.mark.anyio
URL = f"{HOST}/iam/cibg/status/bitstring/1"
DIALECTS: tuple[Dialect, ...] = ("bitstring", "2021")


def publish(world: World, revoked: list[int], dialect: Dialect = "bitstring", by: str = REGISTER, **changes: Any) -> None:
    document = status.list_document(dialect, URL, world.did(REGISTER), revoked, world.clock.now())
    document["credentialSubject"] |= changes
    raw = world.keys[by].sign(credential.claims_of(document), typ="JWT", controller=world.did(by))
    world.web.put(URL, raw, etag=f'"{raw[-12:]}"')


def ref(world: World, index: int = 7, dialect: Dialect = "bitstring") -> StatusRef:
    return StatusRef(dialect, URL, index, world.did(REGISTER))


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_set_bit_is_a_revoked_credential(world: World, dialect: Dialect) -> None:
    publish(world, [], dialect)
    await world.checker.check(ref(world, dialect=dialect))
    publish(world, [7], dialect)
    with pytest.raises(Refused, match="credential_revoked"):
        await world.checker.check(ref(world, dialect=dialect))
    await world.checker.check(ref(world, 6, dialect))
    await world.checker.check(ref(world, 8, dialect))


def test_the_bits_are_those_of_the_specification() -> None:
    bits = status.decode("bitstring", status.encode("bitstring", [0, 9]))
    assert bits[:2] == b"\x80\x40"
    assert len(bits) == 16384
    assert status.encode("bitstring", [1])[0] == "u"
    assert gzip.decompress(base64.urlsafe_b64decode(status.encode("2021", [1]) + "==="))[0] == 0x40


@pytest.mark.parametrize(
    "encoded",
    [
        "",
        "u",
        "x",
        "u!!!",
        "uAAAA",
        "u" + base64.urlsafe_b64encode(gzip.compress(b"\0" * 16383)).decode().rstrip("="),
        "u" + base64.urlsafe_b64encode(gzip.compress(b"\0" * (1 << 22))).decode().rstrip("="),
        "u" + base64.urlsafe_b64encode(gzip.compress(b"\0" * 16384)[:-9]).decode().rstrip("="),
    ],
)
def test_what_is_no_list(encoded: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        status.decode("bitstring", encoded)


async def test_an_unchanged_list_is_asked_with_its_etag_and_a_changed_one_holds_at_once(world: World) -> None:
    publish(world, [])
    await world.checker.check(ref(world))
    await world.checker.check(ref(world))
    assert "If-None-Match" in world.web.asked[-1][1]
    publish(world, [7])
    with pytest.raises(Refused, match="credential_revoked"):
        await world.checker.check(ref(world))


async def test_a_list_past_its_end_is_not_used(world: World) -> None:
    publish(world, [])
    await world.checker.check(ref(world))
    world.clock.forward(hours=24)
    with pytest.raises(Refused, match="credential_status: the status list cannot be used: it is expired"):
        await world.checker.check(ref(world))
    assert "If-None-Match" not in world.web.asked[-1][1]


async def test_a_list_that_is_not_there_or_not_the_issuers_gives_no_permission(world: World) -> None:
    with pytest.raises(Refused, match="credential_status: the status list does not answer"):
        await world.checker.check(ref(world))
    wrong: list[dict[str, Any]] = [{"by": VENDOR}, {"dialect": "2021"}, {"statusPurpose": "suspension"}, {"encodedList": "x"}]
    for changes in wrong:
        publish(world, [], **changes)
        with pytest.raises(Refused, match="credential_status: the status list cannot be used"):
            await world.checker.check(ref(world))
    for page, status_code in (("x", 200), ("", 404)):
        world.web.put(URL, page, status=status_code)
        with pytest.raises(Refused, match="credential_status: the status list cannot be used"):
            await world.checker.check(ref(world))
    publish(world, [])
    with pytest.raises(Refused, match="credential_status: the status list is shorter"):
        await world.checker.check(ref(world, status.SIZE))
    with pytest.raises(Refused, match="of another issuer"):
        await world.checker.check(StatusRef("bitstring", URL, 7, world.did(VENDOR)))


@pytest.mark.parametrize(
    "change",
    [
        {"type": "RevocationList2020Status"},
        {"statusListCredential": "http://insecure"},
        {"statusListCredential": None},
        {"statusListIndex": "-1"},
        {"statusListIndex": "x"},
        {"statusListIndex": "²"},
        {"statusListCredential": "https://a b"},
        {"statusListCredential": "https://a\0b"},
        {"statusListCredential": "https://" + "a" * 300},
    ],
)
def test_an_entry_that_cannot_be_understood_is_no_permission(world: World, change: dict[str, Any]) -> None:
    entry = status.entry("bitstring", URL, 7) | change
    with pytest.raises(Refused, match="credential_status"):
        status.refs_of(credential.read(world.issue(credentialStatus=entry)))


def test_entries_of_both_dialects_and_of_another_purpose(world: World) -> None:
    entries = [
        status.entry("bitstring", URL, 7),
        status.entry("2021", URL, 7),
        status.entry("2021", URL, 7) | {"statusPurpose": "suspension"},
    ]
    found = status.refs_of(credential.read(world.issue(credentialStatus=entries)))
    assert [each.dialect for each in found] == ["bitstring", "2021"]
    assert [StatusRef.of(each.name) for each in found] == found
    assert status.refs_of(credential.read(world.issue())) == []
