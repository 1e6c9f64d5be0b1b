"""The profiles of presentations: what a file may say, and with what no server starts (Nuts RFC021 §5)."""

import json
from pathlib import Path
from typing import Any

import pytest

from proeftuin.reasons import Refused
from services.authorization import profiles
from services.authorization.policies import load as load_policies

VALUES = {"uzi_ca": "A" * 43, "registrar": "did:web:a", "professionals": "https://login"}


def organization(**changes: Any) -> dict[str, Any]:
    fields = [{"path": ["$.issuer"], "filter": {"const": "did:web:a"}}, {"id": "organization_ura", "path": ["$.a"]}]
    return {"id": "d", "input_descriptors": [{"id": "one", "constraints": {"fields": fields}}]} | changes


def written(tmp_path: Path, entry: Any, name: str = "x") -> profiles.Profiles:
    (tmp_path / "one.json").write_text(entry if isinstance(entry, str) else json.dumps({name: entry}))
    return profiles.load(VALUES, tmp_path)


def test_the_scope_policies(tmp_path: Path) -> None:
    only = written(tmp_path, {"organization": organization()})
    assert only.select("x")[0].policy == "profile-only"
    with pytest.raises(Refused, match="takes no other scopes"):
        only.select("x patient/Condition.rs")
    for policy in ("passthrough", "dynamic"):
        found, others = written(tmp_path, {"organization": organization(), "scope_policy": policy}).select("a x b a")
        assert (found.policy, others) == (policy, ("a", "b"))


PROVIDER = {
    "id": "e",
    "input_descriptors": [
        {
            "id": "two",
            "constraints": {
                "fields": [
                    {"path": ["$.issuer"], "filter": {"const": "did:web:a"}},
                    {"id": "service_provider_id", "path": ["$.a"]},
                    {"id": "delegation_id", "path": ["$.id"]},
                ]
            },
        }
    ],
}


@pytest.mark.parametrize(
    ("said", "entry"),
    [
        ("not JSON|Expecting", "x"),
        ("stands for nothing", '{"x": "{{unknown}}"}'),
        ("a profile has", {"organization": organization(), "user": {}}),
        ("scope_policy is", {"organization": organization(), "scope_policy": "all"}),
        ("it is an object", {}),
        ("pins no issuer", {"organization": organization(input_descriptors=[{"id": "one"}])}),
        (
            "no required field has id organization_ura",
            {
                "organization": organization(
                    input_descriptors=[
                        {"id": "one", "constraints": {"fields": [{"path": ["$.issuer"], "filter": {"const": "did:web:a"}}]}}
                    ]
                )
            },
        ),
        ("lacks a required field", {"organization": organization(), "service_provider": organization()}),
        ("no field binds", {"organization": organization(), "service_provider": PROVIDER}),
    ],
)
def test_a_profile_with_which_no_server_starts(tmp_path: Path, said: str, entry: Any) -> None:
    with pytest.raises(Refused, match=f"definition_invalid: one.json: .*({said})"):
        written(tmp_path, entry)


def test_a_reserved_field_id_is_refused_at_load_and_not_at_introspection(tmp_path: Path) -> None:
    """In nuts-node it is a 500-type error at introspection."""
    for reserved in ("iss", "sub", "exp", "iat", "active", "client_id", "scope", "act", "extensions"):
        entry = organization()
        entry["input_descriptors"][0]["constraints"]["fields"].append({"id": reserved, "path": ["$.b"]})
        with pytest.raises(Refused, match="would overwrite a claim"):
            written(tmp_path, {"organization": entry})


def test_the_profiles_that_are_there_load_and_have_a_scope() -> None:
    loaded = profiles.load(VALUES)
    names = {rule.name for rule in load_policies()}
    for name in ("zorginzage", "medicatieoverdracht-gf"):
        assert loaded.select(name)[0].scope in names
