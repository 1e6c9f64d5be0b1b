"""Every route of every service: whoever is not admitted gets a reason, and leaves exactly one event that tells it."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from proeftuin.access.requirement import Requirement, requirement_of
from proeftuin.parties import Seed
from proeftuin.reasons import CATALOGUE
from proeftuin.sandbox.topology import APPLICATIONS, NATIONAL
from tests.harness import Harness, routes_of

pytestmark = pytest.mark.anyio
FORBIDDING = "/netwerkmodel/"  # the iWlz network answers a bad certificate with 403 (RFC0014 §6.2)
CALLER, THIEF, CLIENT = "ziekenhuis-de-linde", "ziekenhuis-oeverzicht", "999910000"


def tenant_of(seed: Seed, service: str) -> str:
    """Return the party that runs the service, or for those of parties a care provider that is not the caller."""
    kind = NATIONAL.get(service)
    others = [each for each in seed.parties if each.id not in (CALLER, THIEF)]
    return next(each.id for each in others if (each.kind == kind if kind else each.is_care_provider))


def made(tmp_path: Path, service: str) -> tuple[Harness, FastAPI]:
    seed = Harness(tmp_path / "seed", "consent", ["toestemmingsregister"]).seed
    harness = Harness(tmp_path / "service", service, [tenant_of(seed, service)])
    app: FastAPI = importlib.import_module(APPLICATIONS[service]).create_app(harness.settings, harness.wiring)
    return harness, app


def addresses(harness: Harness, app: FastAPI) -> Iterator[tuple[str, str, Requirement]]:
    """Yield method, path and requirement of each route, with something in the place of each variable part."""
    party = harness.settings.tenants[0].party
    values = {"party": party, "resource_type": "Patient", "level": "0", "position:path": "000"}
    for route in routes_of(app):
        path = re.sub("{([^}]*)}", lambda part: values.get(part[1], "1"), route.path)
        for method in sorted(route.methods):
            yield method, path, requirement_of(route.endpoint)


def attempts(harness: Harness, requirement: Requirement) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each way in which nobody is admitted to a route, and the reason that must be given."""
    yield "certificate_invalid", {"party": None}
    if requirement.own_party:
        yield "party_mismatch", {"party": CALLER}
    if not requirement.scopes:
        return
    audience, scope = harness.settings.tenants[0].audience, sorted(requirement.scopes)[0]
    bounds: dict[str, Any] = {"audience": audience, "patient": CLIENT}
    yield "token_missing", {"party": CALLER}
    yield "token_malformed", {"party": CALLER, "token": "x"}
    yield "token_audience", {"party": CALLER, "token": harness.token(CALLER, scope, **bounds | {"audience": audience + "x"})}
    yield "token_expired", {"party": CALLER, "token": harness.token(CALLER, scope, lifetime=0, **bounds)}
    yield "token_binding", {"party": THIEF, "token": harness.token(CALLER, scope, **bounds)}
    yield "insufficient_scope", {"party": CALLER, "token": harness.token(CALLER, "another", **bounds)}
    if requirement.patient:
        yield "subject_missing", {"party": CALLER, "token": harness.token(CALLER, scope, audience=audience)}


@pytest.mark.parametrize("service", APPLICATIONS)
async def test_every_route_is_guarded(tmp_path: Path, service: str) -> None:
    found = routes_of(made(tmp_path, service)[1])
    assert len(found) > 4
    assert [route.path for route in found if not (isinstance(route, APIRoute) and hasattr(route, "requirement"))] == []


@pytest.mark.parametrize("service", APPLICATIONS)
async def test_whoever_is_not_admitted_leaves_one_event_that_says_why(tmp_path: Path, service: str) -> None:
    harness, app = made(tmp_path, service)
    observer = harness.seed.party(harness.settings.tenants[0].party)
    async with harness.running(app):
        await harness.logged()
        tried = 0
        for method, path, requirement in addresses(harness, app):
            for reason, call in attempts(harness, requirement):
                answer = await harness.call(method, path, **call)
                where = f"{method} {path} {reason}"
                assert answer.headers["X-Reason"] == reason, f"{where}: {answer.text}"
                denied = path.startswith(FORBIDDING) and reason.startswith("certificate_")
                assert answer.status_code == (403 if denied else CATALOGUE[reason].status), where
                (event,) = await harness.logged()
                assert event["outcomeDesc"].startswith(f"{reason}:"), where
                assert event["outcome"] == "8", where
                assert event["source"]["observer"]["identifier"]["value"] == observer.identifiers[0][1], where
                assert CLIENT not in event["outcomeDesc"], where
                tried += 1
        assert tried > 5


@pytest.mark.parametrize("service", APPLICATIONS)
async def test_a_revoked_certificate_is_refused_and_logged_at_every_route(tmp_path: Path, service: str) -> None:
    harness, app = made(tmp_path, service)
    harness.authority.revoke(harness.peer(CALLER).serial)
    async with harness.running(app):
        await harness.logged()
        for method, path, _ in addresses(harness, app):
            assert (await harness.call(method, path, party=CALLER)).headers["X-Reason"] == "certificate_revoked", path
            (event,) = await harness.logged()
            assert event["outcomeDesc"].startswith("certificate_revoked:")
