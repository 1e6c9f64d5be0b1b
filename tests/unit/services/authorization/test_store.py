"""The store of grants on both databases: what lives, what died, in whichever order it was told, and what is forgotten."""

import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from proeftuin import parties
from proeftuin.storage.migrations import upgrade
from proeftuin.tokens.access_token import AccessToken, Confirmation, Grant
from services.authorization import codes, store
from services.authorization.codes import Authorization
from services.authorization.grants import CONSENT, CREDENTIAL, GRANT, GrantRequest, Ground
from tests.harness import PARTIES

MIGRATIONS = Path(store.__file__).parent / "migrations"
NOW = datetime.now(UTC)
SEED = parties.load(PARTIES)
BOUND = Confirmation("x5t#S256", "x" * 43)
KEY = b"k" * 32


@pytest.fixture
def engine(database_url: str) -> sa.Engine:
    made = sa.create_engine(database_url)
    upgrade(made, MIGRATIONS)
    return made


def give(
    engine: sa.Engine,
    *stands_on: Ground,
    since: int = 0,
    lifetime: int = 300,
    patient: str | None = None,
    exchanged: str | None = None,
) -> str:
    party = SEED.parties[0]
    grant = Grant(party.client_id, "https://localhost", frozenset({"a"}), BOUND, lifetime, patient)
    moment = int(NOW.timestamp())
    token = AccessToken("https://localhost", grant, secrets.token_urlsafe(16), moment, moment + lifetime, "raw")
    request = GrantRequest("test", party, BOUND, ("a",), "https://localhost", exchanged=exchanged)
    with engine.begin() as connection:
        store.add(connection, token, request, stands_on, since, KEY, "law")
    return token.jti


def end(engine: sa.Engine, kind: str, name: str, by: str = "ura:1", notice: str | None = None) -> int:
    with engine.begin() as connection:
        return store.end(connection, Ground(kind, name), by, NOW, notice)


def lives(engine: sa.Engine, jti: str) -> bool:
    with engine.begin() as connection:
        found = store.standing(connection, jti)[1]
        assert found == (jti in [each["jti"] for each in store.live(connection, NOW, 1000)])
        return found


def test_a_grant_dies_with_whatever_it_stands_on(engine: sa.Engine) -> None:
    grounds = [Ground(CREDENTIAL, "urn:uuid:1"), Ground(CONSENT, "Consent/1"), Ground(GRANT, "another")]
    for ground in grounds:
        jti, apart = give(engine, *grounds), give(engine)
        assert lives(engine, jti)
        assert end(engine, *ground) >= 1
        assert (lives(engine, jti), lives(engine, apart)) == (False, True)
        with engine.begin() as connection:
            connection.execute(store.ends.delete())
    assert not lives(engine, "unknown")


def test_an_end_counts_in_whichever_order_it_and_the_grant_are_stored(engine: sa.Engine) -> None:
    end(engine, CREDENTIAL, "c")
    assert not lives(engine, give(engine, Ground(CREDENTIAL, "c"))), "what ended is no ground any more"
    with engine.begin() as connection:
        before = store.newest_end(connection)
    end(engine, CONSENT, "Consent/1")  # after consent was asked, before the grant is stored
    assert not lives(engine, give(engine, Ground(CONSENT, "Consent/1"), since=before))
    with engine.begin() as connection:
        since = store.newest_end(connection)
    anew = give(engine, Ground(CONSENT, "Consent/1"), since=since)
    assert lives(engine, anew), "a consent may be given anew"
    end(engine, CONSENT, "Consent/1")
    assert not lives(engine, anew)


def test_what_is_told_twice_ends_nothing_that_was_given_since(engine: sa.Engine) -> None:
    ground = Ground(CONSENT, "Consent/1")
    before = give(engine, ground)
    assert end(engine, *ground, notice="n") == 1
    assert not lives(engine, before)
    with engine.begin() as connection:
        since = store.newest_end(connection)
    anew = give(engine, ground, since=since)
    assert end(engine, *ground, notice="n") == 2
    assert lives(engine, anew)
    end(engine, CONSENT, "Consent/2", notice="n")  # another ground under the same name is told for the first time
    with engine.begin() as connection:
        assert store.newest_end(connection) > since
    end(engine, *ground, by="ura:2", notice="n")  # the name is the teller's own
    assert not lives(engine, anew)
    assert [end(engine, GRANT, "x"), end(engine, GRANT, "x")] == [0, 0], "without a name nothing is a repeat"


def test_what_is_exchanged_dies_with_whatever_killed_its_original(engine: sa.Engine) -> None:
    original = give(engine, Ground(CONSENT, "Consent/1"), Ground(CREDENTIAL, "c"))
    end(engine, CONSENT, "Consent/1")  # between the look at the original and the new grant
    with engine.begin() as connection:
        since = store.newest_end(connection)  # consent was given anew meanwhile, and asked
    assert not lives(engine, give(engine, Ground(CONSENT, "Consent/1"), since=since, exchanged=original))
    original = give(engine, Ground(CREDENTIAL, "d"))
    middle = give(engine, exchanged=original)
    last = give(engine, exchanged=middle)
    assert lives(engine, last)
    end(engine, GRANT, original)
    assert [lives(engine, each) for each in (original, middle, last)] == [False] * 3


def test_what_is_old_is_forgotten_and_what_is_not_stays(engine: sa.Engine) -> None:
    old, young = give(engine, Ground(CONSENT, "Consent/1"), lifetime=10), give(engine, Ground(CONSENT, "Consent/2"), lifetime=3600)
    end(engine, GRANT, old)
    end(engine, GRANT, young)
    end(engine, CONSENT, "Consent/9")
    with engine.begin() as connection:
        last = store.newest_end(connection)
        assert store.prune(connection, NOW + timedelta(seconds=11), 10) == 1
        assert store.read(connection, old) is None
        assert store.standing(connection, old) == ([], False)
        assert [row.id for row in connection.execute(sa.select(store.ends.c.id))] == [young]
        assert store.prune(connection, NOW + timedelta(seconds=11), 10) == 0
    assert not lives(engine, young), "an end stays as long as a grant stands on it"
    end(engine, CONSENT, "Consent/1")
    with engine.begin() as connection:
        assert store.newest_end(connection) > last, "positions are not given again"


def test_lists_are_by_holder_and_by_client_of_care_and_name_nobody(engine: sa.Engine) -> None:
    mine, other = give(engine, patient="999910000"), give(engine, patient="999918138")
    with engine.begin() as connection:
        subject = store.pseudonym(KEY, "999910000")
        assert [each["jti"] for each in store.live(connection, NOW, 10, subject=subject)] == [mine]
        assert {each["jti"] for each in store.live(connection, NOW, 10, client_id=SEED.parties[0].client_id)} == {mine, other}
        assert store.live(connection, NOW, 10, client_id="ura:1") == []
        assert len(store.live(connection, NOW, 1)) == 1
        assert store.live(connection, NOW + timedelta(seconds=300), 10) == []
        assert "99991" not in str(connection.execute(sa.select(store.grants)).all())


def test_a_handle_serves_once_at_its_stage(engine: sa.Engine) -> None:
    asked = Authorization("ura:1", "https://x", "openid", "c", person=("system", "number"), logged_in_at=1)
    with engine.begin() as connection:
        handle = codes.put(connection, codes.CODE, asked, NOW, 60)
        assert codes.take(connection, codes.SHOWN, handle, NOW) is None
        assert codes.take(connection, codes.CODE, handle + "x", NOW) is None
        assert not codes.has_served(connection, handle)
        assert codes.take(connection, codes.CODE, handle, NOW) == asked
        assert codes.take(connection, codes.CODE, handle, NOW) is None
        assert codes.has_served(connection, handle)
        stored = str(connection.execute(sa.select(codes.handles)).all())
        assert handle not in stored
        assert "number" not in stored, "what served is not kept"
        late = codes.put(connection, codes.CODE, asked, NOW, 60)
        assert codes.take(connection, codes.CODE, late, NOW + timedelta(seconds=60)) is None
        codes.put(connection, codes.CODE, asked, NOW + timedelta(seconds=60 + codes.KEPT), 60)
        assert codes.has_served(connection, handle), "a replay is seen for as long as a token of that code may live"
        codes.put(connection, codes.CODE, asked, NOW + timedelta(seconds=61 + codes.KEPT), 60)
        assert not codes.has_served(connection, handle)
