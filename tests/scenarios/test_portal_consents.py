"""Consents in the client's portal against the running network: give, be seen, withdraw, be refused; and who may not do what."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from html import unescape

import httpx
import pytest

from proeftuin.identifiers import BSN_SYSTEM
from proeftuin.sandbox.exchange import Exchange, cast
from proeftuin.sandbox.home import Home
from proeftuin.sandbox.portal.network import Network
from proeftuin.sandbox.portal.register import Register
from proeftuin.sandbox.portal.sessions import Session
from proeftuin.sandbox.seeding import care_system
from tests.scenarios.test_portal import log_in

pytestmark = pytest.mark.anyio
GERRIT, NOOR, ESTHER, BRAM, MARGA = 7, 10, 11, 12, 13  # places in parties.toml
PAGE = "/portaal/toestemmingen"
YES = {"antwoord": "ja", "van": "verpleeghuis-avondrood", "aan": "ziekenhuis-de-linde", "wat": "Condition"}


@pytest.fixture
async def hospital(network: Home) -> AsyncIterator[Exchange]:
    """A nurse of the hospital, about to ask the nursing home for data of Gerrit."""
    parts = replace(cast(network.seed), client=network.seed.clients[GERRIT].bsn)
    system = care_system(network, parts.hospital.id)
    exchange = Exchange(system, parts)
    await exchange.prepare()
    exchange.addresses = await system.look_up(parts.holder.ura or "")
    yield exchange
    await system.close()


async def asked(hospital: Exchange) -> str:
    """What the hospital gets when it asks for conditions: ok, or the reason of the refusal."""
    token = await hospital.ask("patient/Condition.rs", hospital.parts.client)
    if token is not None:
        await hospital.read("Condition", token)
    return hospital.system.hops.all[-1].reason


def cards(page: httpx.Response) -> dict[str, dict[str, str]]:
    """The decisions on a page: id -> the fields of its forms, with the text under `text`."""
    found = {}
    for number, body in re.findall(r'<article class="card[^"]*" id="([^"]+)">(.*?)</article>', page.text, re.DOTALL):
        fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', body))
        found[number] = fields | {"text": " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())}
    return found


async def decide(browser: httpx.AsyncClient, place: int, fields: dict[str, str]) -> httpx.Response:
    """Fill the form in, read what will hold, confirm; returns the page after."""
    given = fields | {"voor": str(place)}
    review = await browser.post(f"{PAGE}/nakijken", data=given)
    assert (review.status_code, "Klopt dit?" in review.text) == (200, True), review.text
    return await browser.post(f"{PAGE}/vastleggen", data=given, follow_redirects=True)


async def test_give_see_withdraw_and_be_refused(browser: httpx.AsyncClient, hospital: Exchange, network: Home) -> None:
    await log_in(browser, GERRIT)
    await asked(hospital)
    refused = await until_told(browser, "Ziekenhuis De Linde is geweigerd bij Verpleeghuis Avondrood")
    assert "A. Veenstra, Verpleegkundige" in refused.text
    link = unescape(re.findall(rf'href="({PAGE}/nieuw\?[^"]+)"', refused.text)[0])
    before = cards(await browser.get(PAGE))
    form = await browser.get(link)
    assert cards(await browser.get(PAGE)) == before  # the link itself changes nothing
    for chosen in ('value="ja" required checked', 'value="verpleeghuis-avondrood" selected', 'value="Condition" checked'):
        assert chosen in form.text
    assert await asked(hospital) in ("no_consent", "consent_withdrawn")

    page = await decide(browser, GERRIT, YES)
    assert "Vastgelegd. Uw keuze geldt vanaf nu." in page.text
    assert "Vastgelegd" not in (await browser.get(PAGE)).text  # told once
    (made,) = cards(page).keys() - before.keys()
    assert "Ziekenhuis De Linde mag uw gegevens van Verpleeghuis Avondrood zien." in cards(page)[made]["text"]
    assert "Gegeven door uzelf" in cards(page)[made]["text"]
    assert await asked(hospital) == "ok"
    again = await browser.post(f"{PAGE}/vastleggen", data=YES | {"voor": str(GERRIT)})
    assert "Dit heeft u al gezegd" in again.text

    page = await browser.post(f"{PAGE}/intrekken", data=cards(page)[made], follow_redirects=True)
    assert "Ingetrokken. Dit geldt meteen." in page.text
    assert await asked(hospital) == "consent_withdrawn"
    refused = await until_told(browser, "maar u heeft dat ja ingetrokken")
    assert network.seed.clients[GERRIT].bsn not in refused.text + page.text + form.text + link


async def until_told(browser: httpx.AsyncClient, text: str) -> httpx.Response:
    """The page of who was refused, once the log has it."""
    for _ in range(60):
        page = await browser.get(f"{PAGE}/geweigerd")
        if text in page.text:
            break
        await asyncio.sleep(0.2)
    assert text in page.text
    assert "nagerekend. Het klopt." in page.text
    return page


async def test_an_objection_goes_before_and_is_pointed_at(browser: httpx.AsyncClient, hospital: Exchange) -> None:
    await log_in(browser, GERRIT)
    page = await decide(browser, GERRIT, YES | {"antwoord": "nee"})
    (objection,) = [each for each, card in cards(page).items() if "niet zien" in card["text"] and "versie" in card]
    assert await asked(hospital) == "consent_objection"
    refused = await until_told(browser, "U heeft nee gezegd.")
    assert f'href="{PAGE}#{objection}"' in refused.text
    review = await browser.post(f"{PAGE}/nakijken", data=YES | {"voor": str(GERRIT)})
    assert "Dat nee blijft gelden, want uw nieuwe ja is niet preciezer." in review.text
    page = await browser.post(f"{PAGE}/intrekken", data=cards(page)[objection], follow_redirects=True)
    assert "Uw nee is weg. Dat is nog geen ja" in page.text
    assert await asked(hospital) == "consent_withdrawn"


async def test_what_changed_meanwhile_is_not_changed_again(browser: httpx.AsyncClient) -> None:
    await log_in(browser, GERRIT)
    page = await decide(browser, GERRIT, YES | {"wat": "Alert"})
    (made,) = [card for card in cards(page).values() if "Waarschuwingen" in card["text"] and "versie" in card]
    await browser.post(f"{PAGE}/intrekken", data=made)
    stale = await browser.post(f"{PAGE}/akkoord", data=made)
    assert (stale.status_code, "intussen veranderd" in stale.text) == (409, True)
    unknown = await browser.post(f"{PAGE}/intrekken", data=made | {"keuze": "x/../1"})
    assert "Deze keuze bestaat niet." in unknown.text


async def test_client_and_parent_agree(browser: httpx.AsyncClient) -> None:
    """Bram says yes, which waits; his mother reads it, agrees, and either may take it back."""
    await log_in(browser, BRAM)
    assert "U beslist dit samen met een ouder of voogd" in (await browser.get(PAGE)).text
    page = await decide(browser, BRAM, YES | {"wat": "Nutrition"})
    assert "Het geldt pas als de ander ook ja zegt" in page.text
    made = of_nutrition(page)
    assert "Wacht nog" in made["text"]
    assert "Ik ga akkoord" not in made["text"]
    await log_in(browser, ESTHER)
    page = await browser.post("/portaal/voor", data={"client": str(BRAM)}, follow_redirects=True)
    assert "U beslist dit samen met Bram" in page.text
    assert "Ik ga akkoord" in of_nutrition(page)["text"]
    page = await browser.post(f"{PAGE}/akkoord", data=of_nutrition(page), follow_redirects=True)
    assert "Jullie hebben nu allebei ja gezegd." in page.text
    assert "Gegeven door uzelf en Bram de Vries" in of_nutrition(page)["text"]
    await log_in(browser, BRAM)
    page = await browser.post(f"{PAGE}/intrekken", data=of_nutrition(await browser.get(PAGE)), follow_redirects=True)
    assert "Ingetrokken. Dit geldt meteen." in page.text


def of_nutrition(page: httpx.Response) -> dict[str, str]:
    """The decision about nutrition that is not past."""
    (found,) = [card for card in cards(page).values() if "Voeding" in card["text"] and "versie" in card]
    return found


@pytest.mark.parametrize(("client", "status"), [(NOOR, 502), (MARGA, 502)])
async def test_who_may_not_decide_is_told_who_does(browser: httpx.AsyncClient, client: int, status: int) -> None:
    await log_in(browser, client)
    page = await browser.get(PAGE)
    assert (page.status_code, "Dan beslist een ouder of voogd" in unescape(page.text)) == (status, True)
    made = await browser.post(f"{PAGE}/vastleggen", data=YES | {"voor": str(client)})
    assert "Dan beslist een ouder of voogd" in made.text


async def test_a_representative_chooses_for_whom(browser: httpx.AsyncClient, network: Home) -> None:
    await log_in(browser, ESTHER)
    assert "Voor wie regelt u iets?" in (await browser.get(PAGE)).text
    page = await browser.post("/portaal/voor", data={"client": str(NOOR)}, follow_redirects=True)
    assert (page.status_code, "U kijkt nu naar de gegevens van <strong>Noor de Vries</strong>" in page.text) == (200, True)
    page = await decide(browser, NOOR, YES | {"wat": "Nutrition", "van": "*"})
    made = of_nutrition(page)
    assert "mag de gegevens van Noor de Vries bij alle zorgverleners zien." in made["text"]
    assert "Gegeven door uzelf" in made["text"]
    page = await browser.post(f"{PAGE}/intrekken", data=made, follow_redirects=True)
    assert "Ingetrokken. Dit geldt meteen." in page.text
    old = await browser.post(f"{PAGE}/vastleggen", data=YES | {"voor": str(ESTHER)})  # a form of another window
    assert (old.status_code, "U koos intussen voor iemand anders" in old.text) == (409, True)
    assert network.seed.clients[NOOR].bsn not in page.text
    back = await browser.post("/portaal/voor", data={"client": str(ESTHER)}, follow_redirects=True)
    assert "Noor de Vries bij" not in back.text


@pytest.mark.parametrize("place", ["", "0", "99", "-1", "x"])
async def test_nobody_chooses_who_is_not_represented(browser: httpx.AsyncClient, place: str) -> None:
    await log_in(browser, ESTHER)
    assert (await browser.post("/portaal/voor", data={"client": place})).status_code == 400
    assert "U kijkt nu naar" not in (await browser.get(PAGE)).text


async def test_one_client_cannot_change_the_decisions_of_another(browser: httpx.AsyncClient, network: Home) -> None:
    network_of_portal = Network(network)
    client = network.seed.clients[0]
    theirs = (await Register(network_of_portal).held(Session(client, 0.0, client)))[0]
    await network_of_portal.close()
    await log_in(browser, 1)
    form = {"keuze": theirs.id, "versie": theirs.version, "voor": "1"}
    answer = await browser.post(f"{PAGE}/intrekken", data=form)
    assert (answer.status_code, "Deze keuze bestaat niet." in answer.text) == (502, True)


async def test_only_the_own_pages_of_who_is_logged_in_change_anything(browser: httpx.AsyncClient) -> None:
    posts = ("toestemmingen/nakijken", "toestemmingen/vastleggen", "toestemmingen/intrekken", "toestemmingen/akkoord", "voor")
    for path in posts:
        anonymous = await browser.post(f"/portaal/{path}", data=YES | {"voor": "0"})
        assert (anonymous.status_code, anonymous.headers["Location"]) == (303, "/portaal")
        assert (await browser.get(f"/portaal/{path}")).status_code in (404, 405)
    for path in ("", "/nieuw", "/geweigerd"):
        assert (await browser.get(PAGE + path)).headers["Location"] == "/portaal"
    await log_in(browser)
    for path in posts:
        foreign = await browser.post(f"/portaal/{path}", data=YES | {"voor": "0"}, headers={"Origin": "https://evil.example"})
        assert foreign.json()["reason"] == "foreign_origin"


async def test_what_is_filled_in_is_shown_as_text(browser: httpx.AsyncClient) -> None:
    await log_in(browser)
    attack = '"><script>alert(1)</script>'
    pages = [
        await browser.get(f"{PAGE}/nieuw", params={"tot": attack, "van": attack, "wat": attack}),
        await browser.post(f"{PAGE}/nakijken", data=YES | {"tot": attack, "voor": "0"}),
        await browser.get(f"{PAGE}/geweigerd", params={"verder": attack}),
    ]
    for page in pages:
        assert "<script" not in page.text
        assert (page.headers["Cache-Control"], page.status_code < 500 or page.status_code == 502) == ("no-store", True)
    assert 'aria-invalid="true"' in pages[1].text
    assert BSN_SYSTEM not in "".join(page.text for page in pages)
    large = await browser.post(f"{PAGE}/nakijken", data=YES | {"voor": "0", "x": "x" * 5000})
    assert large.status_code == 409
