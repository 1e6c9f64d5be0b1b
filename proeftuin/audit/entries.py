"""The entries of a Bundle, each a restful interaction of its own, as the end that sends it can tell them."""

from typing import Any

from proeftuin.audit import interactions
from proeftuin.audit.record import Entry
from proeftuin.fhir.bundle import subjects


def entries_of(bundle: dict[str, Any]) -> list[Entry]:
    """Return the entries that are logged; without a request an entry is an update at its own id, as a care system exports it.

    What is no entry is left out: the other side refuses the Bundle.
    """
    found = []
    for entry, people in subjects(bundle):
        resource, request = entry.get("resource"), entry.get("request")
        if not isinstance(request, dict):
            resource = resource if isinstance(resource, dict) else {}
            request = {"method": "PUT", "url": f"{resource.get('resourceType')}/{resource.get('id') or 'new'}"}
        try:
            interaction = interactions.of(str(request.get("method")), f"/{request.get('url')}")
        except interactions.UndeclaredInteractionError:
            continue
        if interaction.event is not None:
            found.append(Entry(interaction.event, people, interaction.reference or interaction.resource_type or "Resource"))
    return found
