"""The life of grants in a running network: time that is moved, keys that are rotated, keys and addresses that are registered."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from typer.testing import CliRunner

from proeftuin.cli import app
from proeftuin.sandbox.care_system import CareSystem
from proeftuin.sandbox.exchange import cast
from proeftuin.sandbox.home import Home
from proeftuin.sandbox.seeding import care_system
from proeftuin.tokens.keys import public_jwk


@pytest.fixture
def command(request: pytest.FixtureRequest, network: Home) -> Iterator[Any]:
    """Run `proeftuin` on the network; time is put back afterwards."""
    if request.config.getoption("--home"):
        pytest.skip("the folder of that network is a copy")

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(app, [*arguments, "--home", str(network.path)])
        assert result.exit_code == 0, result.output
        return result.output

    yield run
    run("clock", "--reset")


def asked(network: Home, work: Any) -> Any:
    """Run `work(system)` as the hospital's care system."""

    async def run() -> Any:
        system = care_system(network, cast(network.seed).hospital.id)
        try:
            return await work(system)
        finally:
            await system.close()

    return asyncio.run(run())


async def token(system: CareSystem, network: Home) -> str:
    found = await system.token(network.topology.network.issuer, network.topology.network.localization, "nvi:delete")
    assert found is not None
    return found


async def use(system: CareSystem, network: Home, token: str) -> str:
    answer = await system.client.request("DELETE", f"{network.topology.network.localization}/fhir/List/x", token=token)
    return str(answer.headers["X-Reason"])


def test_moved_time_ends_tokens_and_leaves_certificates(network: Home, command: Any) -> None:
    held = asked(network, lambda system: token(system, network))
    assert asked(network, lambda system: use(system, network, held)) == "not_found"
    command("clock", "--forward", "4m")
    assert asked(network, lambda system: use(system, network, held)) == "not_found"
    command("clock", "--forward", "61s")
    assert asked(network, lambda system: use(system, network, held)) == "token_expired"
    command("clock", "--forward", "400d")  # past the end of every certificate, had they lived by it
    later = asked(network, lambda system: token(system, network))
    assert asked(network, lambda system: use(system, network, later)) == "not_found"
    command("clock", "--reset")
    assert asked(network, lambda system: use(system, network, held)) == "not_found", "in its own time it still holds"


def test_a_rotated_key_takes_over_without_a_restart_and_the_old_token_lives_on(network: Home, command: Any) -> None:
    held = asked(network, lambda system: token(system, network))
    issuer = network.topology.network.issuer
    kid = command("keys", "rotate", issuer.rpartition("/")[2]).split()[-1]

    async def kids(system: CareSystem) -> list[str]:
        return [key["kid"] for key in (await system.client.request("GET", f"{issuer}/jwks")).json()["keys"]]

    assert asked(network, kids)[0] == kid
    assert asked(network, lambda system: use(system, network, held)) == "not_found"
    fresh = asked(network, lambda system: token(system, network))
    found = ""
    for _ in range(10):  # its key is fetched when it is first seen, but at most once a second
        found = asked(network, lambda system: use(system, network, fresh))
        if found == "not_found":
            break
        time.sleep(0.5)
    assert found == "not_found"


def test_a_party_registers_keys_and_addresses_of_its_own(network: Home, command: Any, tmp_path: Path) -> None:
    hospital = cast(network.seed).hospital.id
    before = json.loads(network.client_file(hospital).read_text())
    assert before["jwks"]["keys"] == [network.certificate_jwk(hospital)]
    keys = {"keys": [*before["jwks"]["keys"], public_jwk(ec.generate_private_key(ec.SECP256R1()).public_key())]}
    (tmp_path / "jwks.json").write_text(json.dumps(keys))
    uris = [*before["redirect_uris"], "https://localhost:1234/back"]
    options = [word for uri in uris for word in ("--redirect-uri", uri)]
    command("client", "register", hospital, "--jwks", str(tmp_path / "jwks.json"), *options)
    assert json.loads(command("client", "show", hospital)) == before | {"jwks": keys, "redirect_uris": uris}
    (tmp_path / "private.json").write_text(json.dumps({"keys": [{"kty": "EC", "d": "x"}]}))
    for wrong in (["--jwks", str(tmp_path / "private.json")], ["--redirect-uri", "callback"], ["--redirect-uri", "https://x/#y"]):
        assert CliRunner().invoke(app, ["client", "register", hospital, *wrong, "--home", str(network.path)]).exit_code == 1
