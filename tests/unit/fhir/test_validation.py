"""Each profile: what conforms, and what is wrong where."""

import copy
import re
from typing import Any

import jsonschema_rs
import pytest
from fhir.resources.R4B import get_fhir_model_class
from hypothesis import given, settings
from hypothesis import strategies as st

from proeftuin.fhir import schema
from proeftuin.fhir.validation import validate
from tests.unit.fhir.examples import BSN, CONDITION, EXAMPLES, GF, KVK, PATIENT, concept

ABSENT = object()
DATA_CATEGORIES = GF + "CodeSystem/nl-gf-data-categories-cs"
OLD_CATEGORIES = "http://minvws.nl/CodeSystem/nl-gf-data-categories-cs"  # in the IG's own example (contract §2.1, defects)


def changed(profile: str, *changes: tuple[str, Any]) -> dict[str, Any]:
    """Return the example with `a.0.b` set to a value, or removed."""
    example = copy.deepcopy(EXAMPLES[profile])
    for path, value in changes:
        *way, last = path.split(".")
        place: Any = example
        for step in way:
            place = place[int(step)] if isinstance(place, list) else place[step]
        if value is ABSENT:
            del place[last]
        elif isinstance(place, list):
            place.insert(int(last), value)
        else:
            place[last] = value
    return example


def faults(resource: Any, profile: str | None = None) -> list[tuple[str | None, str]]:
    return [(issue.expression, issue.code) for issue in validate(resource, profile)]


@pytest.mark.parametrize("profile", EXAMPLES)
def test_the_example_conforms(profile: str) -> None:
    assert validate(EXAMPLES[profile], profile) == []
    get_fhir_model_class(EXAMPLES[profile]["resourceType"]).model_validate(EXAMPLES[profile])


BAD: list[tuple[str, str, Any, str, str]] = [
    # what holds everywhere
    ("Patient", "foo", 1, "Patient.foo", "structure"),
    ("Patient", "name.0.foo", 1, "Patient.name[0].foo", "structure"),
    ("Patient", "modifierExtension", [{"url": "x"}], "Patient.modifierExtension", "structure"),
    ("Patient", "_foo", {"id": "x"}, "Patient._foo", "structure"),
    ("Patient", "_birthDate.x", 1, "Patient._birthDate.x", "structure"),
    ("Patient", "id", "een spatie", "Patient.id", "value"),
    ("Patient", "meta", {"lastUpdated": "2026-01-01"}, "Patient.meta.lastUpdated", "value"),
    ("Patient", "text", {"status": "generated", "div": "geen div"}, "Patient.text.div", "value"),
    ("Patient", "extension", [{"valueString": "x"}], "Patient.extension[0].url", "required"),
    ("Patient", "extension", [{"url": "x", "valueString": "x", "valueCode": "x"}], "Patient.extension[0].valueCode", "structure"),
    ("Patient", "extension", [{"url": "x", "valueSampledData": {}}], "Patient.extension[0].valueSampledData", "structure"),
    ("Patient", "name", [], "Patient.name", "structure"),
    ("Patient", "name.1", {}, "Patient.name[1]", "structure"),
    ("Patient", "name", {"family": "x"}, "Patient.name", "structure"),
    ("Patient", "name.0.family", "", "Patient.name[0].family", "value"),
    ("Patient", "name.0.family", " \n", "Patient.name[0].family", "value"),
    ("Patient", "name.0.family", 1, "Patient.name[0].family", "structure"),
    ("Patient", "active", "true", "Patient.active", "structure"),
    ("Patient", "contained", [{"id": "x"}], "Patient.contained[0].resourceType", "required"),
    ("Patient", "contained", [{"resourceType": "Condition"}], "Patient.contained[0].subject", "required"),
    # R4
    ("Patient", "birthDate", "1938-02-30", "Patient.birthDate", "value"),
    ("Patient", "birthDate", "1938-04-12\n", "Patient.birthDate", "value"),
    ("Patient", "gender", "v", "Patient.gender", "code-invalid"),
    ("Patient", "deceasedDateTime", "2026", "Patient.deceasedDateTime", "structure"),
    ("Patient", "multipleBirthInteger", 1.5, "Patient.multipleBirthInteger", "structure"),
    ("Patient", "contact.0", {"gender": "female"}, "Patient.contact[0]", "invariant"),
    ("Patient", "identifier.0.value", "999910001", "Patient.identifier[0].value", "invariant"),
    ("Condition", "subject", ABSENT, "Condition.subject", "required"),
    ("Condition", "subject.identifier", {"system": BSN, "value": "123456789"}, "Condition.subject.identifier.value", "invariant"),
    ("Condition", "clinicalStatus", ABSENT, "Condition.abatement", "invariant"),
    ("Condition", "verificationStatus.coding.0.code", "entered-in-error", "Condition.clinicalStatus", "invariant"),
    ("Condition", "stage.0", {"type": {"text": "x"}}, "Condition.stage[0]", "invariant"),
    ("Condition", "evidence.0", {"id": "x"}, "Condition.evidence[0]", "invariant"),
    ("Condition", "onsetAge", {"value": 80}, "Condition.onsetAge", "structure"),
    ("MedicationRequest", "medicationCodeableConcept", ABSENT, "MedicationRequest.medication", "required"),
    ("MedicationRequest", "medicationReference", {"display": "x"}, "MedicationRequest.medicationReference", "structure"),
    ("MedicationRequest", "intent", "wens", "MedicationRequest.intent", "code-invalid"),
    ("MedicationRequest", "dosageInstruction.0.timing.repeat.periodUnit", "dag",
     "MedicationRequest.dosageInstruction[0].timing.repeat.periodUnit", "code-invalid"),
    ("MedicationRequest", "dosageInstruction.0.timing.repeat.frequency", 0,
     "MedicationRequest.dosageInstruction[0].timing.repeat.frequency", "value"),
    ("MedicationRequest", "substitution", {"reason": {"text": "x"}}, "MedicationRequest.substitution.allowed", "required"),
    ("CarePlan", "intent", ABSENT, "CarePlan.intent", "required"),
    ("CarePlan", "activity.0.detail.status", ABSENT, "CarePlan.activity[0].detail.status", "required"),
    ("CarePlan", "activity.0.reference", {"display": "x"}, "CarePlan.activity[0]", "invariant"),
    ("AuditEvent", "type", ABSENT, "AuditEvent.type", "required"),
    ("AuditEvent", "recorded", "2026-11-23T10:00:00", "AuditEvent.recorded", "value"),
    ("AuditEvent", "agent", ABSENT, "AuditEvent.agent", "required"),
    ("AuditEvent", "agent.1.requestor", ABSENT, "AuditEvent.agent[1].requestor", "required"),
    ("AuditEvent", "agent.0.network.type", "6", "AuditEvent.agent[0].network.type", "code-invalid"),
    ("AuditEvent", "source.observer", ABSENT, "AuditEvent.source.observer", "required"),
    ("AuditEvent", "action", "X", "AuditEvent.action", "code-invalid"),
    ("AuditEvent", "entity.0.query", "geen base64!", "AuditEvent.entity[0].query", "value"),
    ("AuditEvent", "entity.0.query", "abcde", "AuditEvent.entity[0].query", "value"),
    ("AuditEvent", "entity.0.name", "x", "AuditEvent.entity[0]", "invariant"),
    ("AuditEvent", "entity.0.detail.0.valueString", ABSENT, "AuditEvent.entity[0].detail[0].value", "required"),
    ("Consent", "scope", ABSENT, "Consent.scope", "required"),
    ("Consent", "category", ABSENT, "Consent.category", "required"),
    ("Consent", "policy", ABSENT, "Consent.policy", "invariant"),
    ("Consent", "patient", ABSENT, "Consent.patient", "invariant"),
    ("Consent", "patient.identifier.value", "999910001", "Consent.patient.identifier.value", "invariant"),
    ("Consent", "provision.provision.0.type", "ja", "Consent.provision.provision[0].type", "code-invalid"),
    ("Consent", "provision.actor.0.role", ABSENT, "Consent.provision.actor[0].role", "required"),
    ("List", "mode", ABSENT, "List.mode", "required"),
    ("List", "mode", "snapshot", "List.entry[0].deleted", "invariant"),
    ("List", "entry.0.date", "2026", "List.entry[0].date", "invariant"),
    ("List", "emptyReason", {"text": "x"}, "List.emptyReason", "invariant"),
    ("Bundle", "total", 1, "Bundle.total", "invariant"),
    ("Bundle", "entry.0.search", {"mode": "match"}, "Bundle.entry[0].search", "invariant"),
    ("Bundle", "entry.0.request", ABSENT, "Bundle.entry[0].request", "invariant"),
    ("Bundle", "entry.0.response", {"status": "200"}, "Bundle.entry[0].response", "invariant"),
    ("Bundle", "entry.1.fullUrl", "urn:uuid:1", "Bundle.entry[1].fullUrl", "invariant"),
    ("Bundle", "entry.1.fullUrl", "https://a.example/List/1/_history/2", "Bundle.entry[1].fullUrl", "invariant"),
    ("Bundle", "entry.0.resource.foo", 1, "Bundle.entry[0].resource.foo", "structure"),
    ("Bundle", "entry.0.resource.resourceType", "een zin", "Bundle.entry[0].resource.resourceType", "value"),
    ("Bundle", "text", {"status": "empty", "div": "<div></div>"}, "Bundle.text", "structure"),
    # nl-gf-organization
    ("nl-gf-organization", "name", ABSENT, "Organization.name", "required"),
    ("nl-gf-organization", "implicitRules", "https://x.example", "Organization.implicitRules", "structure"),
    ("nl-gf-organization", "type.0.coding.0.code", "X3", "Organization.type", "invariant"),
    ("nl-gf-organization", "identifier.0.use", "usual", "Organization.identifier[0].use", "invariant"),
    ("nl-gf-organization", "identifier.0.value", ABSENT, "Organization.identifier[0].value", "invariant"),
    ("nl-gf-organization", "identifier.0.assigner", ABSENT, "Organization.identifier", "invariant"),
    ("nl-gf-organization", "identifier.0.assigner.identifier.system", "http://www.kvk.nl/",
     "Organization.identifier[0].assigner.identifier.system", "invariant"),
    ("nl-gf-organization", "identifier.0.assigner.identifier.value", ABSENT,
     "Organization.identifier[0].assigner.identifier.value", "invariant"),
    ("nl-gf-organization", "identifier.0.assigner.identifier.type", ABSENT,
     "Organization.identifier[0].assigner.identifier.type", "invariant"),
    ("nl-gf-organization", "identifier.0.system", "urn:ietf:rfc:3986", "Organization.identifier", "invariant"),
    ("nl-gf-organization", "address.0.use", "home", "Organization.address[0].use", "invariant"),
    ("nl-gf-organization", "telecom.0.use", "home", "Organization.telecom[0].use", "invariant"),
    # nl-gf-endpoint
    ("nl-gf-endpoint", "status", "on", "Endpoint.status", "code-invalid"),
    ("nl-gf-endpoint", "address", ABSENT, "Endpoint.address", "required"),
    ("nl-gf-endpoint", "managingOrganization", ABSENT, "Endpoint.managingOrganization", "required"),
    ("nl-gf-endpoint", "payloadType", ABSENT, "Endpoint.payloadType", "required"),
    ("nl-gf-endpoint", "connectionType.code", "rest", "Endpoint.connectionType", "invariant"),
    ("nl-gf-endpoint", "payloadType.1", concept(DATA_CATEGORIES, "Alles"), "Endpoint.payloadType[1]", "invariant"),
    ("nl-gf-endpoint", "period.end", "morgen", "Endpoint.period.end", "value"),
    # nl-gf-localization-list
    ("nl-gf-localization-list", "meta", {"versionId": "1"}, "List.meta", "structure"),
    ("nl-gf-localization-list", "title", "x", "List.title", "structure"),
    ("nl-gf-localization-list", "mode", "snapshot", "List.mode", "code-invalid"),
    ("nl-gf-localization-list", "code", concept(OLD_CATEGORIES, "Condition"), "List.code", "invariant"),
    ("nl-gf-localization-list", "code.coding.0.code", "Practitioner", "List.code", "invariant"),
    ("nl-gf-localization-list", "subject.reference", "Patient/1", "List.subject.reference", "structure"),
    ("nl-gf-localization-list", "subject.identifier.system", BSN, "List.subject.identifier.system", "code-invalid"),
    ("nl-gf-localization-list", "subject.identifier.use", "official", "List.subject.identifier.use", "code-invalid"),
    ("nl-gf-localization-list", "source.identifier.value", ABSENT, "List.source.identifier.value", "required"),
    ("nl-gf-localization-list", "emptyReason.coding.0.code", "nilknown", "List.emptyReason", "invariant"),
    ("nl-gf-localization-list", "extension.0.url", "https://x.example", "List.extension", "invariant"),
    ("nl-gf-localization-list", "extension.0.valueReference.identifier.system", KVK,
     "List.extension[0].value.identifier", "invariant"),
]  # fmt: skip


@pytest.mark.parametrize(("profile", "path", "value", "expression", "code"), BAD)
def test_a_fault_is_named_where_it_is(profile: str, path: str, value: Any, expression: str, code: str) -> None:
    assert (expression, code) in faults(changed(profile, (path, value)), profile)


def test_only_the_fault_is_named() -> None:
    assert faults(changed("Patient", ("birthDate", "gisteren")), "Patient") == [("Patient.birthDate", "value")]


def test_every_fault_is_named_at_once() -> None:
    resource = changed(
        "nl-gf-organization", ("name", ABSENT), ("foo", 1), ("address.0.use", "home"), ("type.0.coding.0.code", "X3"),
        ("identifier.0.assigner.identifier.value", ABSENT),
    )  # fmt: skip
    assert {expression for expression, _ in faults(resource, "nl-gf-organization")} == {
        "Organization.name",
        "Organization.foo",
        "Organization.address[0].use",
        "Organization.type",
        "Organization.identifier[0].assigner.identifier.value",
    }


def test_an_organization_that_is_part_of_another_needs_no_ura() -> None:
    part = changed("nl-gf-organization", ("identifier.0.system", "urn:ietf:rfc:3986"), ("partOf", {"reference": "Organization/1"}))
    assert validate(part, "nl-gf-organization") == []


def test_without_a_profile_r4_holds() -> None:
    assert validate({"resourceType": "Organization", "name": "x"}) == []
    assert faults({"resourceType": "Organization"}) == [("Organization", "invariant")]


@pytest.mark.parametrize("suffix", ["", "|0.10.0"])
def test_a_profile_goes_by_its_canonical(suffix: str) -> None:
    assert validate(EXAMPLES["nl-gf-endpoint"], GF + "StructureDefinition/nl-gf-endpoint" + suffix) == []


@pytest.mark.parametrize("resource", [None, [], "x", {}, {"resourceType": 1}, {"resourceType": ["Patient"]}])
def test_what_is_no_resource(resource: Any) -> None:
    assert faults(resource) == [(None, "structure")]


def test_types_and_profiles_that_are_not_known() -> None:
    assert faults({"resourceType": "Basic"}) == [(None, "not-supported")]
    assert faults({"resourceType": "datatypes"}) == [(None, "not-supported")]
    assert faults(PATIENT, "nl-core-Patient") == [(None, "not-supported")]
    assert faults(PATIENT, "nl-gf-endpoint") == [(None, "structure")]


def test_a_deep_resource_is_refused() -> None:
    extension: dict[str, Any] = {"url": "x"}
    for _ in range(20_000):
        extension = {"url": "x", "extension": [extension]}
    assert faults({"resourceType": "Patient", "extension": [extension]}) == [("Patient", "too-long")]


def test_no_issue_repeats_a_value() -> None:
    patient = changed("Patient", ("identifier.0.value", "999910001"), ("birthDate", "999910001"), ("gender", "999910001"))
    assert validate(patient)
    assert "999910001" not in str(validate(patient))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | st.just("2026-11-23"),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["coding", "value", "url", "code", "id"]), inner, max_size=2)
    ),
    max_leaves=5,
)


def paths(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, item in steps for found in [(*way, key), *paths(item, (*way, key))]]


@settings(max_examples=150, deadline=None)
@given(data=st.data(), profile=st.sampled_from(sorted(EXAMPLES)), junk=JSON)
def test_whatever_is_sent_gets_an_answer_and_both_validators_agree(data: st.DataObject, profile: str, junk: Any) -> None:
    resource = copy.deepcopy(EXAMPLES[profile])
    *way, last = data.draw(st.sampled_from([path for path in paths(resource) if path != ("resourceType",)]))
    place: Any = resource
    for step in way:
        place = place[step]
    place[last] = junk
    validate(resource, profile)
    assert schema.compiled(profile).is_valid(resource) == (list(schema.thorough(profile).iter_errors(resource)) == [])


@pytest.mark.parametrize("kind", ["string", "code", "uri", "xhtml"])
def test_both_validators_take_the_same_for_white_space(kind: str) -> None:
    """What `\\s` is differs between engines, so no pattern leaves it to them."""
    pattern = schema._definitions()[kind]["pattern"]
    compiled, python = jsonschema_rs.Draft7Validator({"pattern": pattern}), re.compile(pattern.replace("$", r"\Z"))
    around = "%s<div>%s</div>%s" if kind == "xhtml" else "%sa%sa%s"
    for character in map(chr, [*range(0xD800), *range(0xE000, 0x11000)]):
        for text in (character, *(around % tuple(character * (place == at) for at in range(3)) for place in range(3))):
            assert compiled.is_valid(text) == bool(python.search(text)), repr(text)


def test_what_is_nested_as_deep_as_is_allowed_is_judged_and_deeper_is_not() -> None:
    def nested(levels: int) -> Any:
        extension: dict[str, Any] = {"url": "x", "valueString": "x"}
        for _ in range(levels):
            extension = {"url": "x", "extension": [extension]}
        return PATIENT | {"extension": [extension]}

    assert faults(nested(48)) == []  # two levels each
    assert faults(nested(49)) == [("Patient", "too-long")]


@pytest.mark.parametrize("name", sorted(schema.names()))
def test_each_schema_is_a_schema(name: str) -> None:
    validator = schema.thorough(name)
    assert isinstance(validator.schema, dict)
    type(validator).check_schema(validator.schema)


def test_a_contained_resource_of_an_unknown_type_passes() -> None:
    assert validate(CONDITION | {"contained": [{"resourceType": "Practitioner", "id": "x"}]}) == []
