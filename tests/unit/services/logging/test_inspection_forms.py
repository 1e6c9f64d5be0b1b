"""The overview in every form: chosen as asked, the same lines in each, pages that miss and repeat nothing, both ends one line."""

import base64
import csv
import io
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from pypdf import PdfReader

from proeftuin.identifiers import URA_SYSTEM, UZI_ROLE_SYSTEM, UZI_SYSTEM
from proeftuin.overview import checking, html, pdf
from proeftuin.reasons import CATALOGUE
from proeftuin.transparency import merkle
from tests.unit.services.logging.logbook import CLIENT, HOME, HOSPITAL, OTHER, URA, Logbook, client_entity, event, refused

pytestmark = pytest.mark.anyio
NAMES = {HOME: "Verpleeghuis Avondrood", HOSPITAL: "Ziekenhuis De Linde"}
NURSE = "900010001"  # of the hospital, which shows names
TYPES = {
    "json": "application/json", "csv": "text/csv; charset=utf-8; header=present", "pdf": "application/pdf",
    "html": "text/html; charset=utf-8",
}  # fmt: skip


def end(observer: str, request: str = "r1", **over: Any) -> dict[str, Any]:
    """What one end of a request of the hospital at the nursing home logs."""
    agents: list[dict[str, Any]] = [
        {"who": {"identifier": {"system": URA_SYSTEM, "value": URA[party]}, "display": NAMES[party]}, "requestor": False}
        for party in (HOSPITAL, HOME)
    ]
    role = [{"coding": [{"system": UZI_ROLE_SYSTEM, "code": "30.000"}]}]
    agents.append({"who": {"identifier": {"system": UZI_SYSTEM, "value": NURSE}}, "role": role, "requestor": True})
    entities = [client_entity(CLIENT), {"type": {"code": "XrequestId"}, "what": {"identifier": {"value": request}}}]
    entities.append({"detail": [{"type": "category", "valueString": "Condition"}]})
    trace = [{"url": "http://koppeltaal.nl/fhir/StructureDefinition/trace-id", "valueId": "t" * 32}]
    source = {"site": NAMES[observer], "observer": {"identifier": {"system": URA_SYSTEM, "value": URA[observer]}}}
    return event(observer, agent=agents, entity=entities, extension=trace, source=source) | over


async def both_ends(logbook: Logbook, request: str) -> None:
    await logbook.post(end(HOSPITAL, request), HOSPITAL)
    await logbook.post(end(HOME, request))


async def get(logbook: Logbook, accept: str | None = None, **form: str) -> httpx.Response:
    answer = await logbook.inspect(accept=accept, **form)
    assert answer.status_code == 200, answer.text
    return answer


def keys(logbook: Logbook) -> tuple[str, str]:
    return logbook.verifier, ""


@pytest.mark.parametrize(
    ("accept", "wanted", "form"),
    [
        (None, None, "json"), ("*/*", None, "json"), ("text/csv", None, "csv"), ("application/pdf", None, "pdf"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", None, "html"),
        ("application/json;q=0.1, text/*", None, "csv"), ("text/csv;q=0, text/*", None, "html"),
        ("x, text/csv;q=9, */*", None, "json"),
        ("application/json", "pdf", "pdf"), ("application/json", "text/csv", "csv"),
    ],
)  # fmt: skip
async def test_the_form_is_the_one_asked_for(logbook: Logbook, accept: str | None, wanted: str | None, form: str) -> None:
    answer = await get(logbook, accept, **({"_format": wanted} if wanted else {}))
    assert answer.headers["Content-Type"] == TYPES[form]
    assert answer.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    (logged,) = await logbook.logged()
    assert (logged["type"]["code"], logged["outcome"]) == ("110101", "0")
    assert {"type": "format", "valueString": form} in [d for e in logged["entity"] for d in e.get("detail", [])]


@pytest.mark.parametrize(("accept", "form"), [("image/png", {}), ("*/*;q=0", {}), ("text/html", {"_format": "docx"})])
async def test_a_form_that_is_not_given_is_refused(logbook: Logbook, accept: str, form: dict[str, str]) -> None:
    await refused(logbook, await logbook.inspect(accept=accept, **form), 406, "not_acceptable")


async def test_an_unknown_parameter_is_refused(logbook: Logbook) -> None:
    await refused(logbook, await logbook.inspect(since="2026-01-01"), 400, "parameter_unknown")


async def test_both_ends_are_one_line_and_each_keeps_its_proof(logbook: Logbook) -> None:
    await both_ends(logbook, "r1")
    await logbook.post(end(HOME, "r2"))
    await logbook.post(end(HOSPITAL, "r3", outcome="8"), HOSPITAL)
    await logbook.post(end(HOME, "r3"))
    found = (await get(logbook)).json()
    checking.check(found, keys(logbook))
    told = [([found["rows"][place]["logged_by"] for place in line["rows"]], line["ends"], line["agree"]) for line in found["lines"]]
    assert told == [
        ([NAMES[HOME], NAMES[HOSPITAL]], "both", False), ([NAMES[HOME]], "asked", True),
        ([NAMES[HOME], NAMES[HOSPITAL]], "both", True),
    ]  # fmt: skip
    row = found["rows"][0]
    assert (row["person"], row["role"], row["categories"]) == ("A. Veenstra", "30.000", ["Condition"])
    assert row["asked_of"] == {"name": NAMES[HOME], "identifier": URA[HOME]}


async def test_every_form_shows_the_same_lines_with_their_places_and_hashes(logbook: Logbook) -> None:
    await both_ends(logbook, "r1")
    await logbook.post(end(HOME, "r2", outcome="8", agent=end(HOME)["agent"][:2]))
    found = (await get(logbook)).json()
    entries = [base64.b64decode(row["proof"]["entry"]) for row in found["rows"]]
    hashes = {str(row["proof"]["index"]): merkle.leaf_hash(entry).hex() for row, entry in zip(found["rows"], entries, strict=True)}
    text = (await get(logbook, _format="csv")).content.decode("utf-8-sig")
    assert text.endswith("\r\n")
    head, *records = csv.reader(io.StringIO(text, newline=""))
    assert len(records) == len(found["lines"]) == 2
    for record in records:
        line = dict(zip(head, record, strict=True))
        places = line["Plaats in het logboek"].split()
        assert line["Vingerafdruk (SHA-256)"].split() == [hashes[place] for place in places]
        assert line["Stand van het logboek"] == " ".join(found["checkpoint"].splitlines()[:3])
    first, second = (dict(zip(head, record, strict=True)) for record in records)
    assert (first["Wat"], first["Functie"]) == ("Geweigerd", "Een systeem")
    assert (second["Functie"], second["Welke gegevens"]) == ("A. Veenstra, Verpleegkundige", "Ziekten en klachten")
    page = (await get(logbook, _format="html")).text
    document = (await get(logbook, _format="pdf")).content
    printed = "".join("".join(pdf.text(document)).split())
    for record in records:
        for words in record[:10]:
            assert words in page
            assert "".join(words.split()) in printed
    assert all(hash_ in page and hash_ in printed for hash_ in hashes.values())


@pytest.mark.parametrize("form", ["json", "csv", "pdf", "html"])
async def test_what_is_kept_of_each_form_can_be_checked_without_the_service(logbook: Logbook, form: str) -> None:
    await both_ends(logbook, "r1")
    proof = await get(logbook)
    await both_ends(logbook, "r2")  # arrives between two files
    same = await get(logbook, _format=form, _cursor=proof.headers["Cursor"])
    assert same.headers["Cursor"] == proof.json()["here"]
    found = checking.check(checking.open_file(same.content, proof.content if form == "csv" else None), keys(logbook))
    assert (found.rows, found.withheld, found.size, found.cosigned) == (2, 0, 2, None)


async def test_a_file_whose_words_were_changed_does_not_pass(logbook: Logbook) -> None:
    await both_ends(logbook, "r1")
    page = (await get(logbook, _format="html")).content
    table = (await get(logbook, _format="csv")).content
    proof = (await get(logbook)).content
    for content, beside in ((page, None), (table, proof)):
        forged = content.replace(b"Verpleegkundige", b"Arts", 1)
        assert forged != content
        with pytest.raises(ValueError, match="not what its proof says"):
            checking.open_file(forged, beside)
    document = json.loads(proof)
    document["rows"][0]["what"] = "requested"
    with pytest.raises(ValueError, match="the row is not what the document says"):
        checking.check(document, keys(logbook))
    document = json.loads(proof)
    document["lines"] = [{"rows": [0], "ends": "asked", "agree": True}]
    with pytest.raises(ValueError, match="do not follow"):
        checking.check(document, keys(logbook))
    document = json.loads(proof)
    document["rows"] *= 2
    with pytest.raises(ValueError, match="twice"):
        checking.check(document, keys(logbook))


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"x", b"%PDF-1.7 nothing", b"<!doctype html><p>no proof", b'{"rows": [1]}'])
async def test_what_is_no_overview_does_not_pass(logbook: Logbook, content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        checking.check(checking.open_file(content), keys(logbook))


async def test_words_of_a_sender_run_nowhere(logbook: Logbook) -> None:
    """Not as markup in the page, not as a formula in the spreadsheet, not out of the embedded proof."""
    evil = "</script><script>alert(1)</script>"
    formula = '=HYPERLINK("https://evil.example")'
    made = end(HOME)
    made["agent"][0]["who"]["display"], made["agent"][1]["who"]["display"] = evil, formula
    await logbook.post(made)
    page = (await get(logbook, _format="html")).text
    assert "<script>" not in page
    assert page.count("</script>") == 1
    assert checking.open_file(page.encode())["rows"][0]["organisation"]["name"] == evil
    text = (await get(logbook, _format="csv")).content.decode("utf-8-sig")
    _, (*cells,) = csv.reader(io.StringIO(text, newline=""))
    assert [cell for cell in cells if cell.startswith("=")] == []
    assert any(cell.startswith("'=HYPERLINK") for cell in cells)


async def test_the_page_is_whole_in_itself_and_says_what_it_is(logbook: Logbook) -> None:
    await both_ends(logbook, "r1")
    page = (await get(logbook, _format="html")).text
    assert '<html lang="nl">' in page
    assert page.count('<th scope="col">') == 11
    assert page.count('<th scope="row">') == 1
    assert "<caption>" in page
    assert not any(word in page for word in ("src=", 'href="http', "@import", "url(", " onclick", "style="))
    assert html.POLICY.replace("'", "&#39;") in page


async def test_the_pdf_names_its_language_and_prints_names_of_every_script_it_knows(logbook: Logbook) -> None:
    made = end(HOME)
    made["agent"][0]["who"]["display"] = "Zorg Şahin Łódź Ελλάς"
    await logbook.post(made)
    reader = PdfReader(io.BytesIO((await get(logbook, _format="pdf")).content))
    assert str(reader.root_object["/Lang"]) == "nl-NL"
    assert "Şahin Łódź Ελλάς" in " ".join(page.extract_text() for page in reader.pages).replace("\n", " ")


async def test_pages_miss_nothing_and_repeat_nothing_while_events_arrive(logbook: Logbook) -> None:
    for number in range(7):
        await both_ends(logbook, f"r{number}")
    await logbook.post(end(HOME, "single"))
    seen: list[tuple[int, ...]] = []
    notes, cursor = set(), ""
    while True:
        found = (await get(logbook, _count="3", **({"_cursor": cursor} if cursor else {}))).json()
        checking.check(found, keys(logbook))
        notes.add(found["checkpoint"])
        seen += [tuple(sorted(found["rows"][place]["proof"]["index"] for place in line["rows"])) for line in found["lines"]]
        assert found["complete"] == (found["next"] is None)
        if found["complete"]:
            break
        cursor = found["next"]
        await both_ends(logbook, f"later{cursor}")  # arrives while the client reads
    assert sorted(seen) == [*((2 * number, 2 * number + 1) for number in range(7)), (14,)]
    assert len(notes) == 1


async def test_a_csv_that_is_not_all_says_where_it_goes_on(logbook: Logbook) -> None:
    for number in range(3):
        await logbook.post(end(HOME, f"r{number}"))
    first = await get(logbook, _format="csv", _count="2")
    second = await get(logbook, _format="csv", _count="2", _cursor=first.headers["Next-Cursor"])
    assert "Next-Cursor" not in second.headers
    assert (first.text.count("\r\n"), second.text.count("\r\n")) == (3, 2)
    assert "Er is meer" in (await get(logbook, _format="html", _count="2")).text


async def test_another_end_outside_the_period_still_makes_one_line(logbook: Logbook) -> None:
    await logbook.post(end(HOME, recorded="2026-03-01T22:59:59.999Z"))
    await logbook.post(end(HOSPITAL, recorded="2026-03-01T23:00:00.001Z"), HOSPITAL)  # the next day, in the Netherlands
    for day in ("2026-03-01", "2026-03-02"):
        found = (await get(logbook, **{"from": day, "to": day})).json()
        assert [line["ends"] for line in found["lines"]] == ["both"]
    assert (await get(logbook, **{"from": "2026-03-03"})).json()["lines"] == []


async def test_an_organisation_narrows_the_overview(logbook: Logbook) -> None:
    await both_ends(logbook, "r1")
    await logbook.post(end(HOME, "r2", agent=end(HOME)["agent"][1:2]))
    for party, lines in ((HOSPITAL, 1), (HOME, 2)):
        found = (await get(logbook, organisation=f"{URA_SYSTEM}|{URA[party]}")).json()
        assert len(found["lines"]) == lines


async def test_five_hundred_lines_become_a_pdf(logbook: Logbook) -> None:
    for start in range(0, 520, 260):
        await logbook.batch(*({"resource": end(HOME, f"r{start + number}")} for number in range(260)))
    document = (await get(logbook, _format="pdf")).content
    assert len(pdf.proof(document)["lines"]) == 500
    assert not pdf.proof(document)["complete"]


async def test_on_both_databases_the_overview_is_the_same(tmp_path: Path, database_url: str) -> None:
    logbook = Logbook(tmp_path, database_url)
    async with logbook.running(logbook.app):
        await both_ends(logbook, "r1")
        await logbook.post(event(HOME, OTHER))
        found = (await get(logbook, organisation=f"{URA_SYSTEM}|{URA[HOSPITAL]}")).json()
        assert [line["rows"] for line in found["lines"]] == [[0, 1]]


@pytest.mark.parametrize(
    "over",
    [
        {"recorded": "9999-12-31T23:59:59.000Z"}, {"recorded": "0001-01-01T00:00:00Z"}, {"subtype": None}, {"action": None},
        {"agent": [{"requestor": True}]}, {"agent": [{"who": {"display": "x" * 20_000}, "requestor": False}]},
        {"agent": [*end(HOME)["agent"][:1], end(HOME)["agent"][1] | {"network": {"address": "http://[", "type": "5"}}]},
        {"source": {"observer": {"display": "a system"}}, "extension": None},
        {"entity": [client_entity(CLIENT), {"query": "AAAA"}, {"detail": [{"type": "reason", "valueBase64Binary": "AAAA"}]}]},
        {"entity": [client_entity(CLIENT), {"type": {"code": "Consent"}}, {"type": {"code": "Consent"}, "what": {"display": "x"}}]},
        {"purposeOfEvent": [{"text": "because"}, {"coding": [{"display": "x"}]}]},
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", ["json", "csv", "pdf", "html"])
async def test_no_event_that_is_r4_stops_the_overview(logbook: Logbook, form: str, over: dict[str, Any]) -> None:
    answer = await logbook.post({name: value for name, value in end(HOME, **over).items() if value is not None})
    assert answer.status_code == 201, answer.text
    checking.check((await get(logbook)).json(), keys(logbook))
    assert (await get(logbook, _format=form)).content


async def test_a_bundle_of_many_entries_fits_on_the_pages(logbook: Logbook) -> None:
    await logbook.batch(*({"resource": end(HOME, "r1")} for _ in range(300)))
    answer = await get(logbook, _format="pdf")
    (line,) = pdf.proof(answer.content)["lines"]
    assert (len(line["rows"]), line["times"]) == (300, 300)


@pytest.mark.parametrize("reason", sorted(CATALOGUE))
async def test_a_client_reads_of_each_reason_in_words(logbook: Logbook, reason: str) -> None:
    told = {"detail": [{"type": "reason", "valueString": reason}]}
    await logbook.post(event(HOME, CLIENT, outcome="8", entity=[client_entity(CLIENT), told]))
    (row,) = csv.DictReader(io.StringIO((await get(logbook, "text/csv")).text.lstrip("\ufeff")))
    assert row["Wat"].startswith("Geweigerd: ")
    assert reason not in row["Wat"]
