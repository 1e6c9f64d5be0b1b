"""Who registers a decision: the client, a representative, or from 12 to 16 both; and what that makes of the resource."""

from typing import Any

from proeftuin.identifiers import BSN_SYSTEM
from proeftuin.representation import Standing
from services.consent.model import ACTIVE, PROPOSED


def decided(
    resource: dict[str, Any], patient: str, acting: str, standing: Standing, before: dict[str, Any] | None
) -> dict[str, Any]:
    """Return the resource with who decided (`performer`) and what that makes of its status.

    Where client and parent decide together, a permit of one is `proposed` until the other says the same; an objection, and taking
    back, is at once. A change of what is decided starts anew, and so does what was taken back: its performer said no to it.
    """
    stands = before is not None and before.get("status") in (ACTIVE, PROPOSED)
    agreed = stands and before is not None and _said(before) == _said(resource) and resource.get("status") == ACTIVE
    others = [] if not agreed or before is None else [who for who in performers(before) if who != acting]
    everyone = sorted({acting, *others})
    performer = [
        {"type": "Patient" if who == patient else "RelatedPerson", "identifier": {"system": BSN_SYSTEM, "value": who}}
        for who in everyone
    ]
    waits = standing is Standing.TOGETHER and resource.get("provision", {}).get("type") == "permit"
    both = patient in everyone and len(everyone) > 1
    status = resource.get("status")
    if status in (ACTIVE, PROPOSED) and waits:
        status = ACTIVE if both else PROPOSED
    return resource | {"performer": performer, "status": status}


def performers(resource: dict[str, Any]) -> list[str]:
    """Return the BSNs of who decided."""
    return [str(each["identifier"]["value"]) for each in resource.get("performer", []) if "identifier" in each]


def _said(resource: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON is any
    return {name: value for name, value in resource.items() if name not in ("status", "performer", "meta", "text", "dateTime")}
