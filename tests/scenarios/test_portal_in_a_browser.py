"""The client's portal in a real browser: by keyboard alone, readable for a screen reader (axe, WCAG 2.2 AA), nothing blocked."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import ConsoleMessage, Page, sync_playwright

from proeftuin.overview import checking
from proeftuin.sandbox.home import Home

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="this machine has no Chromium (.ci/run installs it)")
WCAG = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}}


@pytest.fixture
def page(network: Home) -> Iterator[Page]:
    """A page of a fresh browser that tells what it was not allowed to load, run or send."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        made = browser.new_context(accept_downloads=True, base_url=network.topology.console).new_page()
        complaints: list[str] = []

        def complain(message: ConsoleMessage) -> None:
            if message.type == "error" and not message.location["url"].endswith("/favicon.ico"):  # a browser asks for one unasked
                complaints.append(message.text)

        made.on("console", complain)
        made.on("pageerror", lambda error: complaints.append(str(error)))
        made.set_default_timeout(30_000)
        yield made
        assert complaints == []
        browser.close()


def violations(page: Page) -> list[str]:
    found = Axe().run(page, options=WCAG)
    return [f"{each['id']}: {each['help']}: {each['nodes'][0]['html'][:200]}" for each in found.response["violations"]]


def log_in(page: Page) -> None:
    page.goto("/portaal")
    page.get_by_label("Uw naam").select_option(index=0)
    page.get_by_role("button", name="Inloggen").click()
    page.get_by_role("heading", name="Wie zag uw gegevens?").wait_for()


def test_by_keyboard_alone(page: Page) -> None:
    page.goto("/portaal")
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Naar de inhoud"
    page.keyboard.press("Tab")
    assert page.locator(":focus").get_attribute("id") == "client"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("status").get_by_text("Het klopt").wait_for()
    reached = set()
    for _ in range(16):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.name || document.activeElement.innerText.trim()"))
    assert {"van", "tot", "organisatie", "Laat zien", "vorm", "Uitloggen"} <= reached


def test_every_page_is_readable_for_all(page: Page) -> None:
    page.goto("/portaal")
    assert violations(page) == []
    log_in(page)
    assert violations(page) == []
    assert page.locator("table").first.evaluate("table => getComputedStyle(table).borderCollapse") == "collapse"  # the style holds


def test_a_client_narrows_keeps_and_checks(page: Page, tmp_path: Path) -> None:
    log_in(page)
    page.get_by_label("Organisatie").select_option("verpleeghuis-avondrood")
    page.get_by_role("button", name="Laat zien").click()
    page.get_by_role("heading", name="alleen organisatie Verpleeghuis Avondrood").wait_for()
    assert "999910000" not in page.url
    with page.expect_download() as download:
        page.get_by_role("button", name="Bewaar als PDF").click()
    kept = tmp_path / download.value.suggested_filename
    download.value.save_as(kept)
    overview = checking.open_file(kept.read_bytes())
    shown = page.locator("table").first.locator("tbody tr").count()
    assert shown == sum(not line["step"] for line in overview["lines"]) > 0


def test_a_page_that_was_kept_opens_by_itself(page: Page, tmp_path: Path) -> None:
    """From a file, without the portal: styled, readable, and nothing that it may not do."""
    log_in(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Bewaar als pagina").click()
    kept = tmp_path / "overzicht.html"
    download.value.save_as(kept)
    page.goto(kept.as_uri())
    assert page.locator("table").first.evaluate("table => getComputedStyle(table).borderCollapse") == "collapse"
    assert violations(page) == []
