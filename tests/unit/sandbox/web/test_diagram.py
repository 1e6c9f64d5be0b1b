"""The diagram: who calls whom in which order, refusals told apart by shape and text, hostile names harmless."""

from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proeftuin.audit.record import System
from proeftuin.cli.seeing import printable
from proeftuin.reasons import CERTIFICATE_REVOKED
from proeftuin.sandbox.web import diagram
from proeftuin.sandbox.web.exchange import Lifeline
from proeftuin.tape.entry import refused_handshake
from proeftuin.transport.tracing import Trace
from tests.unit.sandbox.web.exchanges import exchange
from tests.unit.tape.taping import CALLER, SERVER, entry

SVG = "{http://www.w3.org/2000/svg}"
START = 1_800_000_000.0
REGISTER = System(None, "Toestemmingsregister", "https://localhost:8444")


def nested() -> list[dict[str, Any]]:
    """A read within which the datastation asks its authorization server and consent, which says no; then another call."""
    return [
        entry(started=START, milliseconds=100, status=403, reason="no_consent", detail="no permit for Condition"),
        entry(started=START + 0.01, milliseconds=10, caller=SERVER, service="authorization", path="/oauth2/b/introspect"),
        entry(
            started=START + 0.03, milliseconds=10, caller=SERVER, server=REGISTER, service="consent", path="/decisions",
            reason="no_consent", detail="no permit for Condition",
        ),
        entry(started=START + 0.2, path="/fhir/Patient/_search"),
    ]  # fmt: skip


def arrows(svg: str) -> list[tuple[str, list[str]]]:
    """Every arrow as its classes and its texts."""
    root = ElementTree.fromstring(svg)
    groups = [group for group in root.iter(f"{SVG}g") if "hop" in group.get("class", "").split()]
    return [(group.get("class", ""), [each.text or "" for each in group.iter(f"{SVG}text") if each.text]) for group in groups]


def test_calls_stand_in_order_within_the_hop_that_made_them() -> None:
    found = exchange(nested())
    assert [(hop.number, hop.depth, hop.source, hop.target.role) for hop in found.hops] == [
        (1, 0, Lifeline(CALLER.name, "system"), "datastation"),
        (2, 1, Lifeline(SERVER.name, "datastation"), "authorization"),
        (3, 1, Lifeline(SERVER.name, "datastation"), "consent"),
        (4, 0, Lifeline(CALLER.name, "system"), "datastation"),
    ]
    texts = [text for _, texts in arrows(diagram.svg(found)) for text in texts]
    numbers = [text.split()[0] for text in texts if text[0].isdigit() and "/" in text]
    assert numbers == ["1", "2", "3", "4"]
    assert texts.index(next(text for text in texts if "403" in text)) > texts.index(
        next(text for text in texts if "/decisions" in text)
    )


def test_only_the_refusal_itself_is_told_not_its_echo() -> None:
    assert [(hop.number, hop.cause) for hop in exchange(nested()).refusals] == [(1, False), (3, True)]


def test_a_refusal_differs_by_shape_and_text() -> None:
    for classes, texts in arrows(diagram.svg(exchange(nested()))):
        if any("no_consent" in text for text in texts):
            assert "refused" in classes.split()
            assert any(text.startswith("\N{BALLOT X}") for text in texts)
    svg = diagram.svg(exchange(nested()))
    assert svg.count('class="cross"') == 2
    assert svg.count('class="head"') == 3


def test_a_refused_handshake_stops_before_the_lifeline() -> None:
    refused = refused_handshake("i", "authorization", "B", CERTIFICATE_REVOKED, "23 certificate revoked", Trace.new(), START)
    svg = diagram.svg(exchange([refused]))
    ((classes, texts),) = arrows(svg)
    assert "tls" in classes.split()
    assert 'class="wall"' in svg
    assert any("TLS certificate_revoked" in text for text in texts)


def test_a_call_of_a_party_to_itself_is_drawn() -> None:
    own = entry(caller=SERVER, server=SERVER)
    assert "<path" in diagram.svg(exchange([own | {"caller": own["server"]}]))


hostile = st.sampled_from(['"><script>alert(1)</script>', "</svg><img src=x onerror=alert(1)>", "a\x00b\x1b", "&amp;<", "'\n;:#%%"])


@given(name=hostile | st.text(max_size=40), path=hostile | st.text(max_size=90), reason=st.sampled_from(["profile", "malformed"]))
def test_any_text_is_harmless(name: str, path: str, reason: str) -> None:
    system = System(None, name, "https://localhost:8444")
    made = entry(caller=system, server=system, path=path, status=422, reason=reason, detail=name, service="consent")
    found = exchange([made, entry(caller=system, path=path)])
    root = ElementTree.fromstring(diagram.svg(found))
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert tags <= {"svg", "title", "g", "line", "rect", "text", "path", "a"}
    assert {name for element in root.iter() for name in element.keys() if name.startswith("on")} == set()  # noqa: SIM118 - Element
    assert all(element.get("href", "#").startswith("#") for element in root.iter())
    lines = diagram.mermaid(found).splitlines()
    assert lines[0] == "sequenceDiagram"
    assert len(lines) == 1 + len(found.lifelines) + 4
    assert not any(character in line.partition(": ")[2] for line in lines for character in "<>\"'%")


def test_mermaid_tells_the_same() -> None:
    assert diagram.mermaid(exchange(nested())).splitlines() == [
        "sequenceDiagram",
        "  participant p0 as Ziekenhuis De Linde (system)",
        "  participant p1 as Verpleeghuis Avondrood (datastation)",
        "  participant p2 as Verpleeghuis Avondrood (authorization)",
        "  participant p3 as Toestemmingsregister (consent)",
        "  p0->>p1: 1 POST /fhir/Condition/_search",
        "  p1->>p2: 2 POST /oauth2/b/introspect",
        "  p2-->>p1: 200 ok, 10 ms",
        "  p1->>p3: 3 POST /decisions",
        "  p3--xp1: 200 no_consent, 10 ms",
        "  p1--xp0: 403 no_consent, 100 ms",
        "  p0->>p1: 4 POST /fhir/Patient/_search",
        "  p1-->>p0: 200 ok, 12 ms",
    ]


@pytest.mark.parametrize("count", [1, 3, 40])
def test_every_hop_has_its_place(count: int) -> None:
    svg = diagram.svg(exchange([entry(started=START + number) for number in range(count)]))
    lowest = max(float(line.get("y1", "0")) for line in ElementTree.fromstring(svg).iter(f"{SVG}line"))
    assert lowest < float(ElementTree.fromstring(svg).get("height", "0"))
    assert len(arrows(svg)) == count


def test_a_terminal_gets_no_commands() -> None:
    assert printable("/fhir/\x1b[2J\x07\r\nList") == "/fhir/\ufffd[2J\ufffd\ufffd\ufffdList"
