"""The client's portal against the running network: log in, see, keep, check; and what another site or another client cannot do."""

import asyncio
import re
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from typer.testing import CliRunner

from proeftuin.cli import app as cli
from proeftuin.sandbox.exchange import cast
from proeftuin.sandbox.home import Home
from proeftuin.sandbox.portal.sessions import LIFETIME, Sessions
from proeftuin.sandbox.seeding import care_system

pytestmark = pytest.mark.anyio


async def log_in(browser: httpx.AsyncClient, client: int = 0) -> None:
    answer = await browser.post("/portaal/inloggen", data={"client": str(client)})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/portaal/overzicht")


async def test_a_client_sees_who_saw_the_data_with_a_proof_that_holds(browser: httpx.AsyncClient, network: Home) -> None:
    first = await browser.get("/portaal")
    assert all(client.family in first.text for client in network.seed.clients if client.family.isascii())
    assert not any(client.bsn in first.text for client in network.seed.clients)
    await log_in(browser)
    page = await browser.get("/portaal/overzicht")
    assert page.status_code == 200
    assert "nagerekend. Het klopt." in page.text
    assert "Beschikbaar gemaakt" in page.text
    assert "Verpleeghuis Avondrood" in page.text
    assert network.seed.clients[0].bsn not in page.text
    assert (page.headers["Cache-Control"], page.headers["X-Content-Type-Options"]) == ("no-store", "nosniff")
    assert not re.search(r"<script|<style|\son\w+=|style=", page.text)  # its policy lets none of it run


async def test_a_parent_sees_who_saw_a_childs_data(browser: httpx.AsyncClient, network: Home) -> None:
    child = next(place for place, each in enumerate(network.seed.clients) if each.representatives)
    parent = next(
        place for place, each in enumerate(network.seed.clients) if each.bsn == network.seed.clients[child].representatives[0].bsn
    )
    await log_in(browser, parent)
    await browser.post("/portaal/voor", data={"client": str(child)})
    for place in ("overzicht", "toestemmingen/geweigerd"):
        page = await browser.get(f"/portaal/{place}")
        assert page.status_code == 200, page.text
        assert "niet naar die van uzelf" in page.text
    assert "nagerekend. Het klopt." in (await browser.get("/portaal/overzicht")).text


async def test_period_and_organisation_narrow_what_is_seen(browser: httpx.AsyncClient) -> None:
    await log_in(browser)
    none = await browser.get("/portaal/overzicht?van=2020-01-01&tot=2020-01-02")
    assert "niets vastgelegd" in none.text
    assert "van 01-01-2020 tot en met 02-01-2020" in none.text
    home = await browser.get("/portaal/overzicht?organisatie=verpleeghuis-avondrood")
    assert "alleen organisatie Verpleeghuis Avondrood" in home.text
    assert '<th scope="row">' in home.text
    assert '<td class="told_by">Thuiszorg Vliet' not in home.text


@pytest.mark.parametrize("query", ["van=gisteren", "van=2026-02-30", "van=2026-02-02&tot=2026-02-01", "organisatie=x"])
async def test_what_cannot_be_asked_is_told_in_plain_words(browser: httpx.AsyncClient, query: str) -> None:
    await log_in(browser)
    answer = await browser.get(f"/portaal/overzicht?{query}")
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text


async def keys(network: Home, folder: Path) -> list[str]:
    """Keep the key lines of log and witness, and return the options that name them."""
    system, options = care_system(network, cast(network.seed).hospital.id), []
    for option, url in (("--log-key", network.topology.network.logging), ("--witness-key", network.topology.network.witness)):
        kept = folder / option.strip("-")
        kept.write_bytes((await system.client.request("GET", f"{url}/key")).body)
        options += [option, str(kept)]
    await system.close()
    return options


@pytest.mark.parametrize("form", ["pdf", "csv", "html", "json"])
async def test_what_is_kept_passes_the_check_of_the_command(
    browser: httpx.AsyncClient, network: Home, tmp_path: Path, form: str
) -> None:  # fmt: skip
    await log_in(browser)
    for _ in range(50):  # the witness cosigns twice a second
        proof = await browser.post("/portaal/bestand", data={"vorm": "json"})
        if proof.json()["witnessed"]:
            break
        await asyncio.sleep(0.2)
    answer = await browser.post("/portaal/bestand", data={"vorm": form, "verder": proof.json()["here"]})
    assert answer.headers["Content-Disposition"] == f'attachment; filename="overzicht.{form}"'
    kept, beside = tmp_path / f"overzicht.{form}", tmp_path / "bewijs.json"
    kept.write_bytes(answer.content)
    beside.write_bytes(proof.content)
    arguments = ["log", "verify-overview", str(kept), *(await keys(network, tmp_path)), *["--proof", str(beside)] * (form == "csv")]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    assert f"{len(proof.json()['rows'])} rows hold" in done.output
    if form != "pdf":  # there the words stand compressed
        forged = answer.content.replace(b"Avondrood", b"Morgenrood", 1)
        assert forged != answer.content
        kept.write_bytes(forged)
        assert CliRunner().invoke(cli, arguments).exit_code == 1


async def test_another_site_cannot_act_for_the_client(browser: httpx.AsyncClient) -> None:
    await log_in(browser)
    for path in ("/portaal/inloggen", "/portaal/uitloggen", "/portaal/bestand"):
        for origin in ("https://evil.example", "null", "http://localhost:1"):
            answer = await browser.post(path, data={"vorm": "json", "client": "1"}, headers={"Origin": origin})
            assert (answer.status_code, answer.json()["reason"]) == (403, "foreign_origin")
    answer = await browser.get("/portaal", headers={"Host": "evil.example"})
    assert answer.json()["reason"] == "unknown_host"


async def test_the_cookie_is_kept_from_scripts_and_other_sites_and_ends(browser: httpx.AsyncClient) -> None:
    answer = await browser.post("/portaal/inloggen", data={"client": "0"})
    cookie = answer.headers["Set-Cookie"]
    assert all(word in cookie for word in ("HttpOnly", "SameSite=strict", "Path=/portaal"))
    again = await browser.post("/portaal/inloggen", data={"client": "0"})
    assert again.headers["Set-Cookie"] != cookie  # a number is never chosen beforehand
    assert (await browser.get("/portaal/overzicht")).status_code == 200
    await browser.post("/portaal/uitloggen")
    for answer in (await browser.get("/portaal/overzicht"), await browser.post("/portaal/bestand", data={"vorm": "json"})):
        assert (answer.status_code, answer.headers["Location"]) == (303, "/portaal")


@pytest.mark.parametrize("client", ["", "99", "-1", "999910000", "x"])
async def test_nobody_else_is_logged_in(browser: httpx.AsyncClient, client: str) -> None:
    answer = await browser.post("/portaal/inloggen", data={"client": client})
    assert answer.status_code == 400
    assert "Set-Cookie" not in answer.headers


async def test_one_client_never_sees_another(browser: httpx.AsyncClient) -> None:
    await log_in(browser, 0)
    mine = (await browser.post("/portaal/bestand", data={"vorm": "json"})).json()
    await log_in(browser, 1)
    theirs = (await browser.post("/portaal/bestand", data={"vorm": "json"})).json()
    places = [{row["proof"]["index"] for row in each["rows"] if row["proof"]["document"]} for each in (mine, theirs)]
    assert places[0]
    assert not places[0] & places[1]


def test_a_session_ends_when_nothing_is_asked(network: Home) -> None:
    now = 0.0
    sessions = Sessions(lambda: now)
    response = Response()
    sessions.begin(network.seed.clients[0], response)
    cookie = response.headers["Set-Cookie"].partition(";")[0]
    request = Request({"type": "http", "headers": [(b"cookie", cookie.encode())]})
    now = LIFETIME - 1.0
    assert sessions.of(request) is not None
    now += LIFETIME - 1.0
    assert sessions.of(request) is not None
    now += float(LIFETIME)
    assert sessions.of(request) is None


def test_an_auditor_looks_from_the_shell(network: Home) -> None:
    def run(*arguments: str) -> str:
        done = CliRunner().invoke(cli, ["log", "audit", "--home", str(network.path), *arguments])
        assert done.exit_code == 0, done.output
        return str(done.output)

    own = run("--party", "verpleeghuis-avondrood")
    assert "made available" in own
    seen = run("--party", "verpleeghuis-avondrood", "--legal-basis", "wkkgz-24", "--case", "2026-1")
    assert int(seen.split()[-2]) > 0
    assert "findings" in run("--party", "ziekenhuis-de-linde", "--patterns")
    refused = CliRunner().invoke(cli, ["log", "audit", "--home", str(network.path), "--party", "igj", "--legal-basis", "x"])
    assert refused.exit_code == 1
