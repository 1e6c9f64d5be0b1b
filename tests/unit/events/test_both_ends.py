"""Every call leaves exactly the audit events that the contract demands, at both ends (IHE BALP 1.1.5)."""

import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proeftuin.access.requirement import Requirement, requirement_of
from proeftuin.audit import interactions
from proeftuin.audit.calling import About, Caller
from proeftuin.pki.authority import Authority
from proeftuin.sandbox import directory
from proeftuin.sandbox.topology import APPLICATIONS
from proeftuin.tenant import Tenant
from proeftuin.transport.client import Unreachable
from proeftuin.transport.tracing import CURRENT, Trace
from tests.conftest import BASE_PORT
from tests.harness import routes_of
from tests.unit.events.expected import NODE, REFUSED, ROUTES
from tests.unit.events.hops import Hop, Reader, check
from tests.unit.events.network import HOLDER, Network
from tests.unit.events.requests import CLIENT, HOSPITAL, OTHER, Request, Requests

pytestmark = pytest.mark.anyio
FEW = settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
THIEF = "ziekenhuis-oeverzicht"
PARTY = {"authorization": HOLDER, "datastation": HOLDER, "wallet": HOLDER}  # whose door, where several parties have one
EMPTY_BATCH = {"resourceType": "Bundle", "type": "batch"}


class Play:
    """The network, who calls it, and what is checked after each call."""

    def __init__(self, network: Network) -> None:
        self.network, self.requests, self.reader = network, Requests(network), Reader(network.home.seed)
        self.callers: dict[str, Caller] = {}

    def caller(self, party: str) -> Caller:
        if party not in self.callers:
            self.callers[party] = self.network.caller(party)
        return self.callers[party]

    async def make(self, request: Request, where: str, *, fine: bool = True) -> None:
        """Make a request and demand the events of its hops."""
        CURRENT.set(Trace.new())
        answer = await self.caller(request.party).request(
            request.method, request.url, about=About(request.about), **request.sent
        )  # fmt: skip
        assert (answer.status < 400) is fine, f"{where}: {answer.status} {answer.body.decode()[:300]}"
        assert ("X-Reason" in answer.headers) is (request.hops[:1] != [] and request.hops[0].reason is not None), where
        check(self.reader, await self.network.events(), request.hops, where)

    def routes(self, service: str) -> Iterator[tuple[str, str, str, Requirement, Tenant, str]]:
        """Yield method, path as declared, a URL of it, requirement, tenant and issuer of each route of a service."""
        instance = self.network.instance(service, PARTY.get(service))
        service_ = self.network.services[instance.name]
        tenant = service_.tenants[PARTY.get(service, instance.operator)]
        values = {"party": HOLDER, "resource_type": "Patient", "level": "0", "position:path": "000"}
        issuer = next(each.issuer for each in service_.settings.tenants if each.party == tenant.party.id)
        issuer = tenant.audience if service == "wallet" else issuer  # a credential issuer takes its own tokens
        others = ROUTES["authorization"] if service == "iwlz" else {}
        for route in routes_of(self.network.apps[instance.name]):
            path = re.sub("{([^}]*)}", lambda part: values.get(part[1], "1"), route.path)
            owner = tenant if "{party}" in route.path else service_.operator
            for method in sorted(each for each in route.methods if (each, route.path) not in others):
                yield method, route.path, instance.base_url + path, requirement_of(route.endpoint), owner, issuer

    def revocable(self, name: str) -> tuple[Caller, Callable[[], None]]:
        """A caller of the hospital with a certificate of its own, and what revokes that."""
        authority, folder = self.network.home.authority, self.network.path / f"revocable-{name}-{len(self.callers)}"
        issued = authority.issue(self.network.home.seed.party(HOSPITAL), folder=folder)
        return (
            self.network.caller(HOSPITAL, self.network.context((issued.certificate, issued.key))),
            lambda: authority.revoke(issued.serial),
        )


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def play(tmp_path_factory: pytest.TempPathFactory, anyio_backend: str) -> AsyncIterator[Play]:
    network = Network(tmp_path_factory.mktemp("network"), BASE_PORT + 150)
    await network.start()
    made = Play(network)
    await made.requests.begin()
    for service in ("authorization", "datastation"):  # the tokens and keys that each tenant keeps are fetched once
        for make in [make for key, makes in made.requests.made.items() if key[0] == service for make in makes]:
            request = await make()
            await made.caller(request.party).request(request.method, request.url, **request.sent)
    await network.events()
    yield made
    await made.requests.end()
    await network.stop()


async def test_the_table_names_every_route_and_no_other(play: Play) -> None:
    there = {service: {(method, path) for method, path, *_ in play.routes(service)} for service in ROUTES}
    assert there == {service: set(rows) for service, rows in ROUTES.items()}
    assert set(ROUTES) == {*APPLICATIONS, "iwlz"}
    for instance in play.network.home.topology.instances:  # of one service they differ in nothing but this
        found = {(method, route.path) for route in routes_of(play.network.apps[instance.name]) for method in route.methods}
        assert found - set(ROUTES["iwlz"]) == set(ROUTES[instance.service]), instance.name


@pytest.mark.parametrize("service", ROUTES)
async def test_what_is_allowed_leaves_the_events_of_the_table_at_both_ends(play: Play, service: str) -> None:
    for method, path in ROUTES[service]:
        makes = play.requests.made.get((service, method, path), [])
        assert makes, f"no request for {service} {method} {path}"
        for number, make in enumerate(makes):
            request = await make()
            await play.network.events()
            await play.make(request, f"{service} {method} {path} {number}")


async def test_what_is_refused_on_its_merits_leaves_one_event_at_both_ends(play: Play) -> None:
    for service, makes in play.requests.refused.items():
        for make in makes:
            request = await make()
            await play.network.events()
            await play.make(request, f"{service} {request.hops[0].reason}", fine=False)


def attempts(play: Play, requirement: Requirement, tenant: Tenant, issuer: str) -> Iterator[tuple[str, str, str | None]]:
    """Yield each way in which nobody is admitted to a route: the reason, the caller and the token."""
    if requirement.own_party:
        yield "party_mismatch", HOSPITAL, None
    if not requirement.scopes:
        return
    scope = sorted(requirement.scopes)[0]

    def token(*scopes: str, **changes: Any) -> str:
        return play.network.forged(tenant, issuer, HOSPITAL, *(scopes or (scope,)), **{"patient": CLIENT} | changes)

    yield "token_missing", HOSPITAL, None
    yield "token_malformed", HOSPITAL, "x"
    yield "token_audience", HOSPITAL, token(audience=f"{tenant.audience}x")
    yield "token_expired", HOSPITAL, token(lifetime=0)
    yield "token_binding", THIEF, token()
    yield "insufficient_scope", HOSPITAL, token("another")
    if requirement.patient:
        yield "subject_missing", HOSPITAL, token(patient=None)


@pytest.mark.parametrize("service", ROUTES)
async def test_who_is_not_admitted_leaves_one_event_at_both_ends(play: Play, service: str) -> None:
    for method, path, url, requirement, tenant, issuer in play.routes(service):
        for reason, party, token in attempts(play, requirement, tenant, issuer):
            served = (CLIENT,) if reason == "insufficient_scope" else ()  # a token that holds, but does not open this
            hop = Hop(ROUTES[service][method, path], party, tenant.party.id, (CLIENT,), served, reason, refused_as=REFUSED)
            sent = {"token": token} | ({"content": EMPTY_BATCH} if (service, path) == ("logging", "/fhir") else {})
            await play.make(Request(party, method, url, [hop], sent, (CLIENT,)), f"{method} {path} {reason}", fine=False)


@pytest.mark.parametrize("service", ROUTES)
async def test_a_certificate_revoked_on_an_open_connection_leaves_one_event_at_both_ends(play: Play, service: str) -> None:
    caller, revoke = play.revocable(service)
    await caller.peers.request("GET", f"{play.network.instance(service, PARTY.get(service)).base_url}/health")
    revoke()
    for method, path, url, _, tenant, _ in play.routes(service):
        hop = Hop(
            ROUTES[service][method, path], HOSPITAL, tenant.party.id, (CLIENT,), (), "certificate_revoked", refused_as=REFUSED
        )
        sent = {"content": EMPTY_BATCH} if (service, path) == ("logging", "/fhir") else {}
        answer = await caller.request(method, url, about=About((CLIENT,)), **sent)
        assert answer.headers["X-Reason"] == "certificate_revoked"
        check(play.reader, await play.network.events(), [hop], f"{method} {path}")


@pytest.mark.parametrize("service", ROUTES)
async def test_a_handshake_that_is_refused_leaves_one_event_at_both_ends(play: Play, service: str, tmp_path: Path) -> None:
    instance = play.network.instance(service, PARTY.get(service))
    hospital, now = play.network.home.seed.party(HOSPITAL), datetime.now(UTC)
    stranger = Authority(tmp_path / "pki")
    stranger.create()
    foreign = stranger.issue(hospital, folder=tmp_path / "foreign")
    old = play.network.home.authority.issue(
        hospital, folder=tmp_path / "old", not_before=now - timedelta(days=9), not_after=now - timedelta(days=1)
    )
    revoked, revoke = play.revocable(service)
    revoke()
    shown = {
        "certificate_missing": play.network.caller(HOSPITAL, play.network.context(None)),
        "certificate_unknown_ca": play.network.caller(HOSPITAL, play.network.context((foreign.certificate, foreign.key))),
        "certificate_expired": play.network.caller(HOSPITAL, play.network.context((old.certificate, old.key))),
        "certificate_revoked": revoked,
    }
    for reason, caller in shown.items():
        hop = Hop(NODE, HOSPITAL, play.network.services[instance.name].operator.party.id, reason=reason)
        for method, path, url, *_ in play.routes(service):
            with pytest.raises(Unreachable):
                await caller.request(method, url, about=About((CLIENT,)))
            check(play.reader, await play.network.events(), [hop], f"{method} {path} {reason}")


@pytest.mark.parametrize("service", ROUTES)
async def test_a_body_that_cannot_be_leaves_one_event_at_both_ends(play: Play, service: str) -> None:
    for method, path, _, requirement, tenant, _ in play.routes(service):
        if not requirement.media_types:
            continue
        request = await play.requests.made[service, method, path][0]()
        await play.network.events()
        fine = sorted(requirement.media_types)[0]
        bodies = [("content_type", b"{}", "text/css"), ("too_large", b" " * (requirement.max_body + 1), fine)]
        bodies += [("malformed", b"{", fine)] if "json" in fine else []
        for reason, body, media_type in bodies:
            sent: dict[str, Any] = {"token": request.sent.get("token"), "content_type": media_type}
            if (service, path) != ("logging", "/fhir"):
                sent["body"] = body
            elif reason == "content_type":
                sent["content"] = EMPTY_BATCH
            else:  # a caller of ours sends no such batch
                continue
            served = (CLIENT,) if requirement.patient else ()  # who stands in the body is not known yet
            server = request.hops[0].server if request.hops else tenant.party.id
            kind = ROUTES[service][method, path]
            hop = Hop(kind, request.party, server, request.about, served, reason, refused_as=REFUSED)
            await play.make(replace(request, sent=sent, hops=[hop]), f"{method} {path} {reason}", fine=False)


async def test_no_route_leaves_one_event_at_the_end_that_is_asked(play: Play) -> None:
    """Our callers make no such call: nothing says what they would log of it."""
    for service in ROUTES:
        base = play.network.instance(service, PARTY.get(service)).base_url
        for method, url, reason in (("GET", f"{base}/nowhere", "not_found"), ("DELETE", f"{base}/health", "method_not_allowed")):
            answer = await play.caller(HOSPITAL).peers.request(method, url, trace=Trace.new())
            assert answer.headers["X-Reason"] == reason
            (event,) = await play.network.events()
            assert (play.reader.told(event).end, play.reader.told(event).kind) == ("serving", REFUSED)
            with pytest.raises(interactions.UndeclaredInteractionError):
                await play.caller(HOSPITAL).request(method, url)
    assert await play.network.events() == []


async def test_no_header_says_from_where_a_request_comes(play: Play) -> None:
    url = f"{play.network.instance('addressing').base_url}/nowhere"
    elsewhere = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http", "Forwarded": "for=203.0.113.9"}
    await play.caller(HOSPITAL).peers.request("GET", url, trace=Trace.new(), headers=elsewhere)
    (event,) = await play.network.events()
    assert event["agent"][0]["network"]["address"] == "127.0.0.1"
    assert "203.0.113.9" not in str(event)


CATEGORIES = ["Patient", "Condition", "MedicationRequest", "Episode"]
CONSENTING, OBJECTING = "999910000", "999918138"  # at this holder


@FEW
@given(bsns=st.lists(st.sampled_from([CLIENT, OTHER]), unique=True, min_size=1), without=st.booleans(), fault=st.booleans())
async def test_records_that_are_brought_in(play: Play, bsns: list[str], without: bool, fault: bool) -> None:
    request = await play.requests.load(bsns, without_people=without, fault=fault)
    await play.make(request, f"{bsns} {without} {fault}", fine=not fault)


@FEW
@given(places=st.lists(st.integers(0, 40), unique=True, max_size=12), fault=st.sampled_from([None, "type", "verb", "stale"]))
async def test_a_transaction_in_the_directory(play: Play, places: list[int], fault: str | None) -> None:
    feed = directory.transaction(play.network.home.topology)["entry"]
    entries = [feed[place] for place in places]
    bad: dict[str | None, tuple[dict[str, Any], str]] = {
        "type": ({"resource": {"resourceType": "Location"}, "request": {"method": "PUT", "url": "Location/1"}}, "profile"),
        "verb": ({"request": {"method": "DELETE", "url": "Endpoint/1"}}, "profile"),
        "stale": (feed[41] | {"request": feed[41]["request"] | {"ifMatch": 'W/"77"'}}, "version_stale"),
    }  # fmt: skip
    if fault is None:
        await play.make(await play.requests.feed(entries), f"{places}")
    else:
        entry, reason = bad[fault]
        await play.make(await play.requests.feed([*entries, entry], reason), f"{places} {fault}", fine=False)


@FEW
@given(creates=st.lists(st.sampled_from(CATEGORIES), unique=True), deletes=st.integers(0, 2), fault=st.booleans())
async def test_a_transaction_in_the_register(play: Play, creates: list[str], deletes: int, fault: bool) -> None:
    await play.requests.unregister()
    there = [await play.requests.registered(OTHER, category) for category in CATEGORIES[:deletes]]
    request = await play.requests.lists(creates, [*there, "nothing"] if fault else there, "not_found" if fault else None)
    await play.make(request, f"{creates} {deletes} {fault}", fine=not fault)


@FEW
@given(good=st.integers(0, 5), bad=st.integers(0, 5))
async def test_a_batch_of_audit_events_leaves_none(play: Play, good: int, bad: int) -> None:
    await play.make(await play.requests.batch(good, bad), f"{good} {bad}")


@FEW
@given(categories=st.lists(st.sampled_from(CATEGORIES), unique=True, min_size=1), bsn=st.sampled_from([CONSENTING, OBJECTING]))
async def test_a_decision_that_says_no_says_so_at_both_ends(play: Play, categories: list[str], bsn: str) -> None:
    reason = None if bsn == CONSENTING else "no_consent"
    CURRENT.set(Trace.new())
    request = await play.requests.decision(bsn, categories, HOSPITAL, reason)
    await play.make(request, f"{bsn} {categories}")
    names = [f"patient/{'CarePlan' if each == 'Episode' else each}.rs" for each in categories]
    await play.make(await play.requests.token(" ".join(names), bsn, reason), f"token {bsn} {names}", fine=reason is None)
