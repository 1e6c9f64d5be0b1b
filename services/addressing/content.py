"""What may stand in the directory: Organization and Endpoint, each held against its profile of the MinVWS IG 0.10.0."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from proeftuin.fhir.outcome import Issue
from proeftuin.fhir.refusal import InvalidResource
from proeftuin.fhir.search import carries_bsn
from proeftuin.fhir.validation import validate
from proeftuin.reasons import IDENTIFIER_IN_URL, INVALID_REQUEST, PROFILE, Refused

Resource = dict[str, Any]

PROFILES = {"Organization": "nl-gf-organization", "Endpoint": "nl-gf-endpoint"}
_CONDITIONS = ("ifNoneMatch", "ifModifiedSince", "ifNoneExist")
_PLACE = re.compile(r"(Organization|Endpoint)/([A-Za-z0-9\-.]{1,64})")


@dataclass(frozen=True, slots=True)
class Entry:
    """A resource to write, and the ETag of the version that it replaces, if its sender named one."""

    resource: Resource
    if_match: str | None = None

    @property
    def place(self) -> str:
        """The relative reference, as `Endpoint/1`."""
        return f"{self.resource['resourceType']}/{self.resource['id']}"


def scope(resource_type: str) -> str:
    """Return the SMART v2 scope with which a resource of this type is written (contract §1.3)."""
    return f"system/{resource_type}.crus"


def check_id(resource_id: str) -> None:
    """Raise Refused IDENTIFIER_IN_URL when an id, which stands in URLs, may be a BSN."""
    if carries_bsn(resource_id):
        raise Refused(IDENTIFIER_IN_URL, "the id may be a BSN")


def from_update(resource: Resource, resource_type: str, resource_id: str, if_match: str | None, base: str) -> Entry:
    """Return the entry of one PUT; raises Refused INVALID_REQUEST (another type or id than the URL's) or InvalidResource."""
    check_id(resource_id)
    if (resource.get("resourceType"), resource.get("id")) != (resource_type, resource_id):
        raise Refused(INVALID_REQUEST, "resourceType and id in the body are those of the URL (FHIR R4 §3.1.0.5)")
    if issues := validate(resource, PROFILES[resource_type]):
        raise InvalidResource(issues)
    return Entry(relative(resource, {}, base), if_match)


def from_transaction(bundle: Resource, base: str) -> list[Entry]:
    """Return the entries of a transaction Bundle of PUTs, in their order; raises InvalidResource with every fault in it.

    References to the fullUrl of another entry, or to an absolute URL at this directory (`base`), become relative.
    """
    issues = validate(bundle, "Bundle")
    if not issues and bundle["type"] != "transaction":
        issues = [_fault("Bundle.type", "is transaction")]
    if not issues:
        issues = list(dict.fromkeys(_entry_faults(bundle.get("entry", []))))
    if issues:
        raise InvalidResource(issues)
    sent: list[Resource] = bundle.get("entry", [])
    names = {each["fullUrl"]: each["request"]["url"] for each in sent if "fullUrl" in each}
    entries = [Entry(relative(each["resource"], names, base), each["request"].get("ifMatch")) for each in sent]
    for entry in entries:
        check_id(entry.resource["id"])
    return entries


def relative(value: Any, names: dict[str, str], base: str) -> Any:  # noqa: ANN401 - JSON is any
    """Return JSON in which each `reference` is replaced by its name in `names`, and relative when it is at `base`."""
    if isinstance(value, list):
        return [relative(item, names, base) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: names.get(item, item).removeprefix(f"{base}/") if key == "reference" and isinstance(item, str)
        else relative(item, names, base)
        for key, item in value.items()
    }  # fmt: skip


def _entry_faults(entries: Iterable[Resource]) -> Iterator[Issue]:
    seen = set()
    for number, entry in enumerate(entries):
        path, request, resource = f"Bundle.entry[{number}]", entry["request"], entry.get("resource", {})
        place = _PLACE.fullmatch(request["url"])
        if request["method"] != "PUT":
            yield _fault(f"{path}.request.method", "is PUT: it creates and updates; nothing is deleted, a status is changed")
        for condition in _CONDITIONS:
            if condition in request:
                yield _fault(f"{path}.request.{condition}", "has no meaning for PUT: send ifMatch")
        if place is None:
            yield _fault(f"{path}.request.url", "is Organization/[id] or Endpoint/[id]")
        elif (resource.get("resourceType"), resource.get("id")) != place.groups():
            yield _fault(f"{path}.resource", "has the type and the id of request.url")
        elif place[0] in seen:
            yield _fault(f"{path}.request.url", "stands only once in a transaction")
        else:
            seen.add(place[0])
            yield from _within(f"{path}.resource", place[1], validate(resource, PROFILES[place[1]]))


def _within(path: str, resource_type: str, issues: list[Issue]) -> Iterator[Issue]:
    for issue in issues:
        expression = path + (issue.expression or "").removeprefix(resource_type)
        yield replace(issue, expression=expression, diagnostics=path + issue.diagnostics.removeprefix(resource_type))


def _fault(expression: str, text: str) -> Issue:
    return Issue("error", "invalid", f"{expression}: {text}", expression, PROFILE.code)
