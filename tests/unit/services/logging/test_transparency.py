"""Checkpoint, key, tiles and proofs as anyone in the network uses them: recomputed here from what is served."""

import base64

import pytest

from proeftuin.transparency import checkpoint, merkle
from proeftuin.transparency.tiles import hash_at
from services.logging import store
from tests.harness import BASE
from tests.unit.services.logging.logbook import Logbook, event, refused

pytestmark = pytest.mark.anyio


async def grow(logbook: Logbook, count: int) -> checkpoint.Checkpoint:
    entries = [{"resource": event()} for _ in range(count)]
    assert (await logbook.batch(*entries)).status_code == 200
    return await logbook.checkpoint()


def leaves(logbook: Logbook) -> list[bytes]:
    rows = logbook.database(lambda connection: connection.execute(store.events.select().order_by(store.events.c.seq)).all())
    return [merkle.leaf_hash(row.entry) for row in rows]


def tree_hash(hashes: list[bytes]) -> bytes:
    """MTH of RFC 9162 §2.1.1, word for word."""
    if len(hashes) < 2:
        return hashes[0] if hashes else merkle.EMPTY_ROOT
    split = 1 << (len(hashes) - 1).bit_length() - 1
    return merkle.node_hash(tree_hash(hashes[:split]), tree_hash(hashes[split:]))


async def path(logbook: Logbook, query: str) -> list[bytes]:
    answer = await logbook.open(f"/proof/{query}")
    assert answer.status_code == 200, answer.text
    return [base64.b64decode(each) for each in answer.json()["path"]]


async def test_the_log_begins_with_a_signed_empty_tree(logbook: Logbook) -> None:
    assert (await logbook.open("/key")).text == logbook.verifier
    origin = f"{BASE.removeprefix('https://')}/log"
    assert logbook.verifier.startswith(f"{origin}+")
    assert await logbook.checkpoint() == checkpoint.Checkpoint(origin, 0, merkle.EMPTY_ROOT)
    assert {path.stat().st_mode & 0o777 for path in logbook.secrets.iterdir()} == {0o600}


async def test_every_event_is_proved_in_every_later_checkpoint(logbook: Logbook) -> None:
    signed = [await grow(logbook, count) for count in (1, 2, 4, 6)]
    hashes = leaves(logbook)
    for at in signed:
        assert at.root == tree_hash(hashes[: at.size])
        for index in range(at.size):
            proof = await path(logbook, f"inclusion?index={index}&size={at.size}")
            merkle.verify_inclusion(hashes[index], index, at.size, proof, at.root)
            with pytest.raises(merkle.ProofError):
                merkle.verify_inclusion(hashes[index - 1], index, at.size, proof, at.root if at.size > 1 else merkle.EMPTY_ROOT)
    for number, old in enumerate(signed):
        for new in signed[number:]:
            proof = await path(logbook, f"consistency?old={old.size}&new={new.size}")
            merkle.verify_consistency(old.size, new.size, proof, old.root, new.root)


async def test_the_root_follows_from_the_tiles_alone(logbook: Logbook) -> None:
    for count in (200, 100):
        signed = await grow(logbook, count)
    hashes = leaves(logbook)
    full, partial = await logbook.open("/tile/0/000"), await logbook.open("/tile/0/001.p/44")
    top = await logbook.open("/tile/1/000.p/1")
    assert full.content + partial.content == b"".join(hashes)
    assert (await logbook.open("/tile/0/000.p/200")).content == full.content[: 200 * 32]  # as it was when it was served first
    served = {(0, 0): full.content, (0, 1): partial.content, (1, 0): top.content}
    assert merkle.root(300, hash_at(lambda level, position: served[level, position])) == signed.root == tree_hash(hashes)


@pytest.mark.parametrize(
    "place",
    ["0/1", "0/0000", "0/x01/000", "x/000", "entries/000", "0/000.p/", "0/000.p/0", "0/000.p/-1", "-1/000", "123/000",
     "0/" + "x000/" * 6 + "000"],
)  # fmt: skip
async def test_what_is_no_tile_address_is_refused(logbook: Logbook, place: str) -> None:
    await refused(logbook, await logbook.open(f"/tile/{place}"), 400, "parameter_invalid")


@pytest.mark.parametrize("place", ["0/000", "0/000.p/3", "0/000.p/257", "7/001", "99/x999/x999/x999/x999/x999/999", "0/001"])
async def test_a_tile_that_is_not_there_is_not_found(logbook: Logbook, place: str) -> None:
    await grow(logbook, 2)
    await refused(logbook, await logbook.open(f"/tile/{place}"), 404, "not_found")


@pytest.mark.parametrize(
    "query",
    ["inclusion", "inclusion?index=0", "inclusion?index=2&size=2", "inclusion?index=0&size=3", "inclusion?index=-1&size=2",
     "inclusion?index=%C2%B2&size=2", "inclusion?index=0&size=9999999999999999999999", "consistency?old=0&new=2",
     "consistency?old=2&new=1", "consistency?old=1&new=3", "consistency?old=a&new=b"],
)  # fmt: skip
async def test_a_proof_that_cannot_be_given_is_refused(logbook: Logbook, query: str) -> None:
    await grow(logbook, 2)
    await refused(logbook, await logbook.open(f"/proof/{query}"), 400, "parameter_invalid")


@pytest.mark.parametrize("place", ["/checkpoint", "/key", "/tile/0/000", "/proof/inclusion", "/proof/consistency"])
async def test_a_certificate_of_the_network_is_needed(logbook: Logbook, place: str) -> None:
    await refused(logbook, await logbook.call("GET", place, party=None), 401, "certificate_invalid")
