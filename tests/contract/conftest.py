"""A target for the contract tests: `--base-url` names the addressing service of any network, else one is started.

With `--base-url`, `--identity` is a folder with `certificate.pem` and `certificate.key` of a care provider, `--ca` the CA bundle.
A test that needs another caller too finds its folder in `--roles`, by the names of ROLES; it is skipped where that is not given.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwk

from proeftuin.sandbox.home import Home
from tests.contract.iwlz_target import SPEC, VECOZO, Iwlz
from tests.contract.target import Target, connected

ROLES = {  # the party of our own network that plays it
    "zorgkantoor": "zorgkantoor-lindestreek", "actor": "zorgsoft", "stranger": "carewave",
    "elsewhere": "paramedisch-centrum-de-kade", "holder": "verpleeghuis-avondrood",
}  # fmt: skip
SERVICE_SYSTEM = "https://proeftuin.example/CodeSystem/service"


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    """The network under test."""
    option = request.config.getoption
    addressing, roles = option("--base-url"), {role: Path(option("--roles")) / role for role in ROLES if option("--roles")}
    if not addressing or option("--home"):
        home: Any = request.getfixturevalue("network")
        roles = {role: home.party_folder(party) for role, party in ROLES.items()}
    if addressing:
        identity, ca, client_id = Path(option("--identity")), Path(option("--ca")), option("--client-id")
    else:
        party = next(party for party in home.seed.parties if party.kind == "ziekenhuis")
        addressing, identity, ca = home.topology.network.addressing, home.party_folder(party.id), home.ca_bundle
        client_id = party.client_id
    with ExitStack() as opened:
        http = opened.enter_context(connected(ca, identity))
        entries = http.get(f"{addressing}/fhir/Endpoint", params={"identifier": f"{SERVICE_SYSTEM}|"}).json()["entry"]
        services = {entry["resource"]["identifier"][0]["value"]: entry["resource"]["address"] for entry in entries}
        key = jwk.ECKey.import_key((identity / "certificate.key").read_text())
        yield Target(http, addressing, services, client_id, key, ca, identity, roles, opened)


@pytest.fixture(scope="session")
def iwlz(target: Target, request: pytest.FixtureRequest) -> Iwlz:
    """The doors of the iWlz network under test."""
    option = request.config.getoption
    base = option("--iwlz-url") or target.services["authorization"].partition("/oauth2/")[0] + "/netwerkmodel/v3"
    named = option("--iwlz-profile")
    profiles = [named] if named else [VECOZO, SPEC]
    return Iwlz(target, base, profiles, {"zorgaanbieder": option("--agb"), "zorgkantoor": option("--uzovi")})


@pytest.fixture
def own(request: pytest.FixtureRequest) -> Home:
    """The network that the tests started themselves: what no vendor lets a caller do (time, another key) is done there."""
    if request.config.getoption("--base-url") or request.config.getoption("--home"):
        pytest.skip("only in a network of our own")
    home: Home = request.getfixturevalue("network")
    return home


@pytest.fixture
def time(own: Home) -> Iterator[Callable[[float], None]]:
    """Move the time of our own network to so many seconds from now; it is put back afterwards."""

    def move(seconds: float) -> None:
        part = own.clock_file.with_suffix(".part")
        part.write_text(f"{seconds:.0f}\n")
        part.replace(own.clock_file)

    own.clock_file.parent.mkdir(exist_ok=True)
    yield move
    own.clock_file.unlink(missing_ok=True)
