"""The sequence diagram of an exchange: SVG for the page, Mermaid text for documents."""

import re
from html import escape

from proeftuin.sandbox.web.exchange import Exchange, Hop, Lifeline

COLUMN, LEFT, HEAD, ROW = 220, 110, 64, 46
CHARACTER = 6.4  # pixels, of the text beside an arrow
CROSS = "\N{BALLOT X} "
_NOT_XML = re.compile(r"[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")
_PLAIN = re.compile(r"[^A-Za-z0-9 ._/(),+=-]")


def svg(exchange: Exchange) -> str:
    """Return the diagram as one <svg> element, its colours by class (console.css); every text in it is escaped.

    A refused arrow is dashed and ends in a cross, a handshake that TLS refused stops before the lifeline: colour is never alone.
    """
    lines = exchange.lifelines
    places = {line: LEFT + COLUMN * index for index, line in enumerate(lines)}
    rows, bars, height = _rows(exchange.hops)
    width = LEFT * 2 + COLUMN * max(len(lines) - 1, 1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="diagram" role="img" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}"><title>Sequence diagram of exchange {text(exchange.trace_id)}: {len(exchange.hops)} hops, '
        f"{len(exchange.refusals)} refused</title>"
    ]
    parts += [_lifeline(line, x, height) for line, x in places.items()]
    for hop, top, bottom in bars:
        parts.append(f'<rect class="bar" x="{places[hop.target] - 5}" y="{top}" width="10" height="{bottom - top}"/>')
    for y, hop, is_return in rows:
        parts.append(_arrow(hop, places[hop.source], places[hop.target], y, is_return=is_return))
    return "".join([*parts, "</svg>"])


def text(value: str, most: int | None = None) -> str:
    """Return `value` fit to stand in SVG: shortened, without what XML cannot hold, escaped."""
    shown = _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", value)
    if most is not None and len(shown) > most:
        shown = shown[: max(most - 1, 1)] + "\N{HORIZONTAL ELLIPSIS}"
    return escape(shown)


def _rows(hops: list[Hop]) -> tuple[list[tuple[int, Hop, bool]], list[tuple[Hop, int, int]], int]:
    """Place each call, and the answer of each hop that made others, under what was before; returns rows, bars and the height."""
    rows: list[tuple[int, Hop, bool]] = []
    bars: list[tuple[Hop, int, int]] = []
    open_: list[tuple[Hop, int]] = []
    y = HEAD + ROW

    def close(depth: int) -> None:
        nonlocal y
        while open_ and open_[-1][0].depth >= depth:
            hop, top = open_.pop()
            rows.append((y, hop, True))
            bars.append((hop, top, y))
            y += ROW

    for hop in hops:
        close(hop.depth)
        rows.append((y, hop, False))
        if hop.nested:
            open_.append((hop, y))
        y += ROW
    close(0)
    return rows, bars, y


def _lifeline(line: Lifeline, x: int, height: int) -> str:
    return (
        f'<g class="life"><line x1="{x}" y1="{HEAD}" x2="{x}" y2="{height - 8}"/>'
        f'<rect x="{x - 92}" y="8" width="184" height="{HEAD - 8}" rx="4"/>'
        f'<text x="{x}" y="32"><title>{text(line.party)}</title>{text(line.party, 24)}</text>'
        f'<text x="{x}" y="50" class="role">{text(line.role, 26)}</text></g>'
    )


def _arrow(hop: Hop, source: int, target: int, y: int, *, is_return: bool) -> str:
    start, end = (target, source) if is_return else (source, target)
    refused = hop.refused and (is_return or not hop.nested)
    leaf = not hop.nested
    outcome = f"{CROSS if hop.refused else ''}{hop.outcome}"
    told = f"{hop.number} {hop.what}: {outcome}, {hop.milliseconds:.0f} ms"
    if start == end:
        shape, middle, room = _loop(start, y), start + 52, 22
        anchor, head = "start", _head(start + 6, y + 10, -1, refused=refused)
    else:
        way = 1 if end > start else -1
        stop = end - way * (30 if hop.tls and not is_return else 6)
        shape = f'<line x1="{start + way * 6}" y1="{y}" x2="{stop}" y2="{y}"/>'
        middle, room = (start + end) // 2, int((abs(end - start) - 24) / CHARACTER)
        anchor, head = "middle", _wall(stop, y) if hop.tls and not is_return else _head(stop, y, way, refused=refused)
    above = "" if is_return else _label(hop, room)
    below = f"{outcome}, {hop.milliseconds:.0f} ms" if is_return or leaf else ""
    below = below if len(below) <= room else outcome
    kind = " ".join(filter(None, ["hop", "refused" if refused else "", "answer" if is_return else "", "tls" if hop.tls else ""]))
    return (
        f'<a href="#hop-{hop.number}"><g class="{kind}"><title>{text(told)}</title>{shape}{head}'
        f'<text x="{middle}" y="{y - 6}" text-anchor="{anchor}">{text(above, room)}</text>'
        f'<text class="outcome" x="{middle}" y="{y + 14}" text-anchor="{anchor}">{text(below, room)}</text></g></a>'
    )


def _label(hop: Hop, most: int) -> str:
    """Number, method and path; of a path that is too long the end, which tells most."""
    method, _, path = hop.what.partition(" ")
    start = f"{hop.number} {method} "
    room = most - len(start)
    return start + path if len(path) <= room or room < 4 else f"{start}\N{HORIZONTAL ELLIPSIS}{path[1 - room :]}"


def _loop(x: int, y: int) -> str:
    return f'<path d="M {x + 6} {y - 8} h 38 v 18 h -38"/>'


def _head(x: int, y: int, way: int, *, refused: bool) -> str:
    """An arrow's head at `x`, pointing to `way`; of a refusal a cross."""
    if refused:
        return f'<path class="cross" d="M {x - 6} {y - 6} l 12 12 M {x + 6} {y - 6} l -12 12"/>'
    return f'<path class="head" d="M {x} {y} l {-8 * way} -4 v 8 z"/>'


def _wall(x: int, y: int) -> str:
    """Where a handshake was refused: two bars before the lifeline, and a cross."""
    return f'<path class="wall" d="M {x} {y - 11} v 22 M {x + 5} {y - 11} v 22"/>' + _head(x - 8, y, 1, refused=True)


def mermaid(exchange: Exchange) -> str:
    """Return the diagram as Mermaid `sequenceDiagram`; everything but letters, digits and some signs as entity codes."""
    names = {line: f"p{index}" for index, line in enumerate(exchange.lifelines)}
    lines = ["sequenceDiagram"]
    lines += [f"  participant {name} as {_plain(f'{line.party} ({line.role})')}" for line, name in names.items()]
    open_: list[Hop] = []

    def answer(hop: Hop) -> str:
        arrow = "--x" if hop.refused else "-->>"
        return f"  {names[hop.target]}{arrow}{names[hop.source]}: {_plain(f'{hop.outcome}, {hop.milliseconds:.0f} ms')}"

    for hop in exchange.hops:
        while open_ and open_[-1].depth >= hop.depth:
            lines.append(answer(open_.pop()))
        call = "-x" if hop.tls else "->>"
        lines.append(f"  {names[hop.source]}{call}{names[hop.target]}: {_plain(f'{hop.number} {hop.what}')}")
        open_.append(hop)
    lines += [answer(hop) for hop in reversed(open_)]
    return "\n".join(lines) + "\n"


def _plain(value: str) -> str:
    return _PLAIN.sub(lambda found: f"#{ord(found[0])};", value)
