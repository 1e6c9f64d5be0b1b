"""XML from outside, parsed within bounds: no DTD, no entities, no network, no comments, limited size and depth."""

from lxml import etree

from proeftuin.reasons import MALFORMED, TOO_LARGE, Refused

LARGEST = 1 << 20  # bytes
DEEPEST = 64  # elements within each other


def parse(raw: bytes, *, largest: int = LARGEST, deepest: int = DEEPEST) -> etree._Element:
    """Return the root element; raises Refused(TOO_LARGE or MALFORMED) without showing what was sent."""
    if len(raw) > largest:
        raise Refused(TOO_LARGE, f"the XML is larger than {largest} bytes")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False,
        remove_comments=True, remove_pis=True,
    )  # fmt: skip
    try:
        root = etree.fromstring(raw, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        raise Refused(MALFORMED, f"the body is not well-formed XML{f' (line {line})' if line else ''}") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise Refused(MALFORMED, "the XML has a DOCTYPE, which nothing here needs")
    _check_depth(root, deepest)
    return root


def _check_depth(root: etree._Element, deepest: int) -> None:
    depth = 0
    for event, _ in etree.iterwalk(root, events=("start", "end")):
        depth += 1 if event == "start" else -1
        if depth > deepest:
            raise Refused(MALFORMED, f"elements stand more than {deepest} deep")


def text_of(element: etree._Element | None) -> str:
    """Return the text of an element without the white space around it; "" when there is no element."""
    return (element.text or "").strip() if element is not None else ""
