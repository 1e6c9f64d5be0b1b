"""Presentation exchange: what a definition may ask, who matches and why not, and what a submission must point at."""

import contextlib
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proeftuin.credentials import credential, jsonpath, presentation, shapes
from proeftuin.credentials.credential import CONTEXT, Credential
from proeftuin.credentials.exchange import definition, filters, matching, submission
from proeftuin.credentials.presentation import Presentation
from proeftuin.reasons import Refused
from tests.unit.credentials.world import HOSPITAL, REGISTER, World

URA = r"^[0-9.]+-\d+-\d+-S-(\d+)-00\.000-\d+$"


def pinned(world: World) -> str:
    """Return the issuer pattern of the sandbox's UZI CA."""
    ca = world.x509_credential()
    return "^" + credential.read(ca).issuer.partition("::")[0] + "::.*$"


def care(world: World, **changes: Any) -> dict[str, Any]:
    return {
        "id": "care",
        "input_descriptors": [
            {
                "id": "organization",
                "constraints": {
                    "fields": [
                        {"path": ["$.type"], "filter": {"type": "string", "const": "X509Credential"}},
                        {"path": ["$.issuer"], "filter": {"type": "string", "pattern": pinned(world)}},
                        {
                            "id": "organization_ura",
                            "path": ["$.credentialSubject.san.otherName"],
                            "filter": {"type": "string", "pattern": URA},
                        },
                    ]
                },
            },
            {
                "id": "role",
                "constraints": {
                    "fields": [
                        {"path": ["$.type"], "filter": {"type": "string", "const": "HealthcareProviderRoleTypeCredential"}},
                        {"path": ["$.issuer"], "filter": {"type": "string", "const": world.did(REGISTER)}},
                        {"id": "organization_facility_type", "path": ["$.credentialSubject.roleCodeNL"]},
                    ]
                },
            },
        ],
    } | changes


def held(world: World) -> list[Credential]:
    return [credential.read(world.issue()), credential.read(world.x509_credential())]


def vp(world: World, *raw: Any) -> Presentation:
    return presentation.read(presentation.create(world.keys[HOSPITAL], world.did(HOSPITAL), list(raw), "aud", world.clock))


def test_the_matching_credentials_give_their_captured_fields(world: World) -> None:
    found = matching.match(definition.read(care(world)), held(world))
    assert found.faults == ()
    assert found.chosen == {"organization": 1, "role": 0}
    assert found.fields == {"organization_ura": "90000101", "organization_facility_type": "V4"}


def test_every_candidate_that_does_not_match_is_explained_without_its_content(world: World) -> None:
    asked = care(world)
    asked["input_descriptors"][0]["constraints"]["fields"][1]["filter"]["pattern"] = "^did:x509:0:sha256:" + "A" * 43 + "::.*$"
    asked["input_descriptors"][1]["format"] = {"ldp_vc": {}}
    found = matching.match(definition.read(asked), held(world))
    assert found.faults == ("input descriptor organization is not met", "input descriptor role is not met")
    organization, role = found.explain()
    assert (organization["chosen"], organization["why"], len(organization["candidates"])) == (None, "no credential fits", 2)
    assert organization["candidates"][0]["lacks"] == [
        "$.type: it is not 'X509Credential'",
        "$.issuer: it is not a match of '^did:x509:0:sha256:" + "A" * 43 + "::.*$'",
        "$.credentialSubject.san.otherName: it is not there",
    ]
    assert len(organization["candidates"][1]["lacks"]) == 1
    assert role["candidates"][0]["lacks"] == ["format: jwt_vc is none of ldp_vc"]
    assert "90000101" not in str([each["lacks"] for each in organization["candidates"]])
    assert matching.match(definition.read(asked), []).explain()[0]["why"] == "there is no credential at all"


def test_a_bound_field_and_a_selection_narrow(world: World) -> None:
    read = definition.read(care(world))
    assert matching.match(read, held(world), bound={"organization_ura": "90000101"}).faults == ()
    other = matching.match(read, held(world), bound={"organization_ura": "90000102"})
    assert other.explain()[0]["candidates"][1]["lacks"] == [
        "$.credentialSubject.san.otherName: another value than the one that 'organization_ura' is bound to"
    ]
    second = credential.read(world.issue(subject={"id": world.did(HOSPITAL), "roleCodeNL": "Z3"}))
    two = [*held(world), second]
    assert matching.match(read, two).fields["organization_facility_type"] == "V4"  # the first wins
    chosen = matching.match(read, two, selection={"organization_facility_type": "Z3"})
    assert chosen.chosen["role"] == 2
    doubled = matching.match(read, [*two, second], selection={"organization_facility_type": "Z3"})
    assert doubled.explain()[1]["why"] == "the selection leaves 2 credentials: narrow it to one"
    assert doubled.faults == ("input descriptor role is not met",)


def test_an_optional_field_may_be_absent_and_not_wrong(world: World) -> None:
    asked = care(world)
    field = {
        "id": "city",
        "path": ["$.credentialSubject.city"],
        "optional": True,
        "filter": {"type": "string", "const": "Oeverdam"},
    }
    asked["input_descriptors"][1]["constraints"]["fields"].append(field)
    read = definition.read(asked)
    assert matching.match(read, held(world)).faults == ()
    assert "city" not in matching.match(read, held(world)).fields
    wrong = credential.read(world.issue(subject={"id": world.did(HOSPITAL), "roleCodeNL": "V4", "city": "Lindenburg"}))
    assert matching.match(read, [wrong, held(world)[1]]).faults == ("input descriptor role is not met",)


@pytest.mark.parametrize(
    ("requirement", "met"),
    [
        ({"rule": "all", "from": "A"}, False),
        ({"rule": "pick", "from": "A"}, True),
        ({"rule": "pick", "count": 1, "from": "A"}, True),
        ({"rule": "pick", "count": 2, "from": "A"}, False),
        ({"rule": "pick", "min": 1, "from": "A"}, True),
        ({"rule": "pick", "max": 0, "from": "A"}, False),
        ({"rule": "all", "from_nested": [{"rule": "pick", "from": "A"}, {"rule": "all", "from": "B"}]}, True),
        ({"rule": "pick", "count": 1, "from_nested": [{"rule": "all", "from": "A"}, {"rule": "all", "from": "B"}]}, True),
    ],
)
def test_submission_requirements(world: World, requirement: dict[str, Any], met: bool) -> None:
    asked = care(world, submission_requirements=[requirement])
    asked["input_descriptors"][0]["group"] = ["A"]
    asked["input_descriptors"][1]["group"] = ["A", "B"]
    found = matching.match(definition.read(asked), held(world)[:1])  # the role alone
    assert (found.faults == ()) is met


# --- definitions

FIELD: dict[str, Any] = {"path": ["$.a"]}


def asks(*fields: Any, **rest: Any) -> dict[str, Any]:
    return {"id": "d", "input_descriptors": [{"id": "one", "constraints": {"fields": list(fields)}} | rest]}


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"id": "d"},
        {"id": "d", "input_descriptors": []},
        {"id": "", "input_descriptors": [{"id": "a"}]},
        {"id": "d", "input_descriptors": [{"id": "a"}, {"id": "a"}]},
        {"id": "d", "input_descriptors": [{"id": str(n)} for n in range(21)]},
        {"id": "d", "input_descriptors": ["x"]},
        {"id": "d", "input_descriptors": [{"id": "a", "constraints": 1}]},
        asks(FIELD, format=1),
        asks(FIELD, group="A"),
        asks(FIELD, group=[1]),
        asks("x"),
        asks({"path": []}),
        asks({"path": "$.a"}),
        asks({"path": ["a"]}),
        asks({"path": ["$..a"]}),
        asks({"path": ["$.a[*]"]}),
        asks({"path": ["$.a[?(@.b)]"]}),
        asks({"path": ["$.a[-1]"]}),
        asks({"path": ["$" + ".a" * 200]}),
        asks(FIELD | {"id": 1}),
        asks(FIELD | {"id": ""}),
        asks(FIELD | {"optional": "no"}),
        asks(FIELD | {"filter": "x"}),
        asks(FIELD | {"filter": {"not": {}}}),
        asks(FIELD | {"filter": {"$ref": "https://thief"}}),
        asks(FIELD | {"filter": {"type": "object"}}),
        asks(FIELD | {"filter": {"const": 1}}),
        asks(FIELD | {"filter": {"enum": []}}),
        asks(FIELD | {"filter": {"enum": [1]}}),
        asks(FIELD | {"filter": {"minLength": "1"}}),
        asks(FIELD | {"filter": {"pattern": 1}}),
        asks(FIELD | {"filter": {"pattern": "("}}),
        asks(FIELD | {"filter": {"pattern": "(a)(b)"}}),
        asks(FIELD | {"filter": {"pattern": "a" * 513}}),
        asks(FIELD | {"filter": {"pattern": r"(a)\1"}}),
        asks(FIELD | {"filter": {"pattern": "(?=a)"}}),
        asks(FIELD | {"filter": {"pattern": "((a{1000}){1000}){1000}"}}),
        asks(*[FIELD] * 31),
        asks({"path": ["$.a"] * 6}),
        {"id": "d", "input_descriptors": [{"id": "a", "constraints": {"is_holder": []}}]},
        {"id": "d", "input_descriptors": [{"id": "a"}], "submission_requirements": [{"rule": "all", "from": "A"}]},
        {"id": "d", "input_descriptors": [{"id": "a", "group": ["A"]}], "submission_requirements": [{"rule": "some", "from": "A"}]},
        {"id": "d", "input_descriptors": [{"id": "a", "group": ["A"]}], "submission_requirements": [{"rule": "all"}]},
        {
            "id": "d",
            "input_descriptors": [{"id": "a", "group": ["A"]}],
            "submission_requirements": [{"rule": "pick", "from": "A", "min": 2, "max": 1}],
        },
    ],
)
def test_a_definition_that_cannot_be_used(document: Any) -> None:
    with pytest.raises(Refused, match="definition_invalid"):
        definition.read(document)


@pytest.mark.parametrize(
    ("said", "fields"),
    [
        ("pins no issuer", [FIELD]),
        ("pins no issuer", [{"path": ["$.issuer"]}]),
        ("pins no issuer", [{"path": ["$.issuer"], "filter": {"type": "string"}}]),
        ("pins no issuer", [{"path": ["$.issuer"], "filter": {"pattern": "did:x509:0:sha256:" + "A" * 43 + "::"}}]),
        ("pins no issuer", [{"path": ["$.issuer"], "filter": {"pattern": "^did:x509:0:sha256:.*"}}]),
        ("pins no issuer", [{"path": ["$.issuer"], "filter": {"pattern": "^did:x509:0:sha256:" + "A" * 43 + "::.*$|^.*$"}}]),
        ("pins no issuer", [{"path": ["$.issuer"], "filter": {"pattern": "^did:web:.*"}}]),
        ("pins no issuer", [{"path": ["$.issuer"], "filter": {"const": "did:web:a"}, "optional": True}]),
        ("pins no issuer", [{"path": ["$.issuer", "$.id"], "filter": {"const": "did:web:a"}}]),
        ("pins no issuer", [{"path": ["$.type"], "filter": {"const": "X509Credential"}}]),
        ("pins no issuer", [{"path": ["$.type"], "filter": {"const": "PatientEnrollmentCredential"}, "optional": True}]),
        ("overwrite a claim", [{"path": ["$.issuer"], "filter": {"const": "did:web:a"}}, {"path": ["$.a"], "id": "scope"}]),
        ("stands twice", [{"path": ["$.issuer"], "filter": {"const": "did:web:a"}, "id": "x"}, {"path": ["$.a"], "id": "x"}]),
        ("", [{"path": ["$.issuer"], "filter": {"const": "did:web:a"}}]),
        ("", [{"path": ["$.issuer"], "filter": {"enum": ["did:web:a", "did:web:b"]}}]),
        ("", [{"path": ["$.issuer"], "filter": {"pattern": "^did:x509:0:sha256:" + "A" * 43 + "::.*$"}}]),
        ("", [{"path": ["$.issuer"], "filter": {"pattern": r"^did:web:localhost%3A8448:iam:cibg$"}}]),
        ("", [{"path": ["$.type"], "filter": {"const": "PatientEnrollmentCredential"}}]),
    ],
)
def test_a_definition_that_a_verifier_should_not_use(said: str, fields: list[dict[str, Any]]) -> None:
    """A published sample policy forgets the issuer, so that any CA is accepted; here that does not load."""
    read = definition.read(asks(*fields))
    if not said:
        definition.check_for_verifier(read, shapes.SELF_ATTESTED)
        return
    with pytest.raises(Refused, match=said):
        definition.check_for_verifier(read, shapes.SELF_ATTESTED)


def test_a_pattern_takes_linear_time() -> None:
    catastrophe = filters.parse({"type": "string", "pattern": "^(a+)+$"})
    started = time.perf_counter()
    assert catastrophe.match("a" * 4000 + "b") == (False, jsonpath.ABSENT)
    assert time.perf_counter() - started < 5  # a backtracking engine would not return in a lifetime
    assert catastrophe.match("a" * 5000)[0] is False  # longer than a value may be


@pytest.mark.parametrize(
    ("condition", "value", "fits"),
    [
        ({"type": "string", "const": "a"}, "a", True),
        ({"type": "string", "const": "a"}, ["b", "a"], True),
        ({"type": "string", "const": "a"}, ["b"], False),
        ({"type": "string"}, 1, False),
        ({"type": "number"}, 1.5, True),
        ({"type": "number"}, True, False),
        ({"type": "integer"}, True, False),
        ({"type": "boolean"}, True, True),
        ({"type": "string", "enum": ["a", "b"]}, "b", True),
        ({"type": "string", "enum": ["a"]}, "b", False),
        ({"type": "string", "minLength": 2}, "a", False),
        ({"type": "string", "maxLength": 1}, "ab", False),
        ({"pattern": "b"}, "abc", True),
        ({"type": "string"}, {"a": 1}, False),
        ({"type": "string", "pattern": "^a$"}, "b", False),
        ({}, None, False),
    ],
)
def test_filters(condition: dict[str, Any], value: Any, fits: bool) -> None:
    assert filters.parse(condition).match(value)[0] is fits


def test_a_pattern_captures_its_one_group_or_the_whole_match() -> None:
    assert filters.parse({"pattern": "a(b)c"}).match("xabcx") == (True, "b")
    assert filters.parse({"pattern": "ab"}).match("xabcx") == (True, "ab")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x), max_leaves=20
    )
)
def test_whatever_json_is_read_is_a_definition_or_refused(document: Any) -> None:
    with contextlib.suppress(Refused):  # any other exception is a failure
        definition.read(document)


def test_json_paths() -> None:
    document = {"a": [{"b": 1}], "@context": ["x"], "d e": 2}
    for path, value in (
        ("$", document),
        ("$.a[0].b", 1),
        ("$['@context'][0]", "x"),
        ('$["d e"]', 2),
        ("$.a[1]", jsonpath.ABSENT),
        ("$.a.b", jsonpath.ABSENT),
        ("$.x", jsonpath.ABSENT),
        ("$[0]", jsonpath.ABSENT),
    ):
        assert jsonpath.find(document, jsonpath.parse(path)) == value, path


# --- submissions


def entry(name: str = "organization", path: str = "$.verifiableCredential[1]", form: str = "jwt_vc", **rest: Any) -> dict[str, Any]:
    return {"id": name, "format": form, "path": path} | rest


def submitted(*entries: dict[str, Any], definition_id: str = "care") -> dict[str, Any]:
    return {"id": "s", "definition_id": definition_id, "descriptor_map": list(entries)}


def test_a_submission_as_the_holder_makes_it_is_accepted(world: World) -> None:
    read, presented = definition.read(care(world)), vp(world, world.issue(), world.x509_credential())
    chosen = matching.match(read, presented.credentials).chosen
    made = submission.create(read, chosen, presented.credentials)
    found = submission.check(read, made, [presented])
    assert found.fields == {"organization_ura": "90000101", "organization_facility_type": "V4"}


@pytest.mark.parametrize(
    "entries",
    [
        [entry(), entry("role", "$.verifiableCredential[0]")],
        [entry("role", "$.verifiableCredential[0]", "jwt_vc_json"), entry()],
        [
            entry(path="$", form="jwt_vp", path_nested=entry()),
            entry("role", "$", "jwt_vp", path_nested=entry(path="$.verifiableCredential[0]")),
        ],
        [entry(path="$[0]", form="jwt_vp", path_nested=entry()), entry("role", "$.verifiableCredential[0]")],
    ],
)
def test_the_paths_that_a_submission_may_have(world: World, entries: list[dict[str, Any]]) -> None:
    presented = vp(world, world.issue(), world.x509_credential())
    assert submission.check(definition.read(care(world)), submitted(*entries), [presented]).faults == ()


@pytest.mark.parametrize(
    ("said", "entries"),
    [
        ("not meet", [entry()]),
        ("not meet", []),
        ("of no input descriptor", [entry("else")]),
        ("two of one", [entry(), entry()]),
        ("no \\$.vp before it", [entry(path="$.vp.verifiableCredential[1]")]),
        ("no \\$.vp before it", [entry(path="$.verifiableCredential")]),
        ("index out of range", [entry(path="$.verifiableCredential[2]")]),
        ("begins with", [entry(path="verifiableCredential[0]")]),
        ("format is", [entry(form="ldp_vc")]),
        ("format is", [entry(form="jwt_vp_x")]),
        ("does not match", [entry(path="$.verifiableCredential[0]")]),
        ("path_nested", [entry(path="$", form="jwt_vp")]),
        ("path_nested", [entry(path="$[0][1]", form="jwt_vp", path_nested=entry())]),
        ("path_nested", [entry(path="$.a", form="jwt_vp", path_nested=entry())]),
        ("index out of range", [entry(path="$[1]", form="jwt_vp", path_nested=entry())]),
        ("points at no credential", [entry(path="$", form="jwt_vp", path_nested=entry(path="$"))]),
    ],
)
def test_a_submission_that_points_elsewhere(world: World, said: str, entries: list[dict[str, Any]]) -> None:
    presented = vp(world, world.issue(), world.x509_credential())
    with pytest.raises(Refused, match=f"submission_invalid.*{said}"):
        submission.check(definition.read(care(world)), submitted(*entries), [presented])


def test_several_presentations_and_the_binding_between_them(world: World) -> None:
    read = definition.read(care(world))
    two = [vp(world, world.issue()), vp(world, world.x509_credential())]
    entries = [
        entry(path="$[1]", form="jwt_vp", path_nested=entry(path="$.verifiableCredential")),
        entry("role", "$[0]", "jwt_vp", path_nested=entry(path="$.verifiableCredential[0]")),
    ]
    found = submission.check(read, submitted(*entries), two, {"organization_ura": "90000101"})
    assert found.chosen == {"organization": 1, "role": 0}
    with pytest.raises(Refused, match="presentation_binding: field 'organization_ura'"):
        submission.check(read, submitted(*entries), two, {"organization_ura": "90000102"})
    with pytest.raises(Refused, match="with several presentations"):
        submission.check(read, submitted(entry()), two)
    with pytest.raises(Refused, match="is for definition 'else'"):
        submission.check(read, submitted(*entries, definition_id="else"), two)


def test_a_self_attested_credential_does_not_meet_what_a_ca_must_state(world: World) -> None:
    own = {
        "@context": [CONTEXT],
        "type": ["VerifiableCredential", "X509Credential"],
        "credentialSubject": {"san": {"otherName": "x"}},
    }
    presented = vp(world, world.issue(), own)
    with pytest.raises(Refused, match=r"\$.issuer: it is not"):
        submission.check(
            definition.read(care(world)), submitted(entry(form="ldp_vc"), entry("role", "$.verifiableCredential[0]")), [presented]
        )


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "x",
        "[]",
        "{}",
        '{"id": "a"}',
        '{"id":"a","definition_id":"b","descriptor_map":{}}',
        '{"id":"a","definition_id":"b","descriptor_map":[1]}',
        '{"id":1,"definition_id":"b","descriptor_map":[]}',
        '{"a":' * 20 + "1" + "}" * 20,
        " " * 40000,
        '{"id":"a","definition_id":"b","descriptor_map":[' + ",".join(["{}"] * 41) + "]}",
    ],
)
def test_what_is_no_submission(raw: str) -> None:
    with pytest.raises(Refused, match="submission_invalid: invalid presentation submission"):
        submission.read(raw)
