"""The nursing records: stable, valid, believable."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from proeftuin.fhir.validation import validate
from proeftuin.identifiers import BSN_SYSTEM, is_fictitious_bsn
from proeftuin.parties import load
from proeftuin.sandbox import nursing_records
from proeftuin.sandbox.nursing_records import (
    CARE_LEVEL_SYSTEM,
    CARE_LEVELS,
    EXPORTED,
    PROBLEMS,
    RECORDS,
    differences,
    generate,
    many,
    write,
)

PARTIES = Path(__file__).parents[2] / "parties.toml"
SEED = load(PARTIES)
PAIRS = [(client, SEED.party(party)) for client in SEED.clients for party in client.known_at]


def of(bundle: dict[str, Any], kind: str) -> Iterator[dict[str, Any]]:
    return (entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == kind)


@pytest.mark.parametrize(("client", "party"), PAIRS, ids=[f"{party.id}-{client.given}" for client, party in PAIRS])
def test_a_record_is_valid_and_believable(client: Any, party: Any) -> None:
    bundle = generate(client, party)
    assert validate(bundle) == []
    get_fhir_model_class("Bundle").model_validate(bundle)
    (patient,) = of(bundle, "Patient")
    assert patient["identifier"] == [{"use": "official", "system": BSN_SYSTEM, "value": client.bsn}]
    conditions = {condition["id"]: condition for condition in of(bundle, "Condition")}
    assert len(conditions) >= 3
    from_age = {problem.code: problem.from_age for problem in PROBLEMS}
    for condition in conditions.values():
        year, month = map(int, condition["onsetDateTime"].split("-"))
        assert date(year, month, 1) <= EXPORTED
        assert year - client.birth_date.year >= from_age[condition["code"]["coding"][0]["code"]]
        assert condition["onsetDateTime"] <= condition["recordedDate"] <= str(EXPORTED)
    medication = list(of(bundle, "MedicationRequest"))
    atc = [request["medicationCodeableConcept"]["coding"][0]["code"] for request in medication]
    assert len(atc) == len(set(atc))
    for request in medication:
        reason = conditions[request["reasonReference"][0]["reference"].removeprefix("Condition/")]
        assert reason["onsetDateTime"] <= request["authoredOn"] <= str(EXPORTED)
    (plan,) = of(bundle, "CarePlan")
    assert {each["reference"] for each in plan["addresses"]} == {f"Condition/{name}" for name in conditions}
    levels = {
        coding["code"] for concept in plan["category"] for coding in concept["coding"] if coding["system"] == CARE_LEVEL_SYSTEM
    }
    assert levels <= set(CARE_LEVELS)
    assert bool(levels) == (party.kind == "verpleeghuis")
    for resource in (entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] != "Patient"):
        assert resource["subject"]["reference"] == f"Patient/{patient['id']}"
        assert client.bsn not in str(resource)


def test_the_same_problem_began_on_the_same_day_at_each_party() -> None:
    onset: dict[tuple[str, str], set[str]] = {}
    for client, party in PAIRS:
        for condition in of(generate(client, party), "Condition"):
            onset.setdefault((client.bsn, condition["code"]["coding"][0]["code"]), set()).add(condition["onsetDateTime"])
    assert any(sum(1 for _ in client.known_at) > 1 for client in SEED.clients)
    assert {len(days) for days in onset.values()} == {1}


def test_another_seed_gives_another_record() -> None:
    client, party = PAIRS[0]
    assert generate(client, party) == generate(client, party)
    assert generate(client, party, 1) != generate(client, party, 2)


def test_the_committed_records_are_what_is_generated() -> None:
    assert differences(RECORDS, SEED) == []


def test_write_and_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, SEED)
    party = SEED.clients[0].known_at[0]
    (tmp_path / party / "1.json").write_text("{}")
    (tmp_path / party / "99.json").write_text("{}")
    (tmp_path / SEED.clients[1].known_at[0] / "2.json").unlink()
    monkeypatch.setattr("sys.argv", ["nursing_records", "--check", "--parties", str(PARTIES), "--folder", str(tmp_path)])
    assert nursing_records.main() == 1
    assert len(capsys.readouterr().out.splitlines()) == 3
    monkeypatch.setattr("sys.argv", ["nursing_records", "--parties", str(PARTIES), "--folder", str(tmp_path)])
    assert nursing_records.main() == 0
    assert differences(tmp_path, SEED) == []


def test_no_file_name_carries_a_bsn() -> None:
    assert not any(client.bsn in str(path) for client in SEED.clients for path in nursing_records.files(SEED))


def test_many() -> None:
    party = SEED.party("verpleeghuis-avondrood")
    found = list(many(500, party))
    bsns = {client.bsn for client, _ in found}
    assert len(bsns) == 500
    assert all(map(is_fictitious_bsn, bsns))
    assert not bsns & {client.bsn for client in SEED.clients}
    ids = [entry["resource"]["id"] for _, bundle in found for entry in bundle["entry"]]
    assert len(ids) == len(set(ids))
    for _, bundle in found:
        assert validate(bundle) == []
    with pytest.raises(ValueError, match="fictitious BSNs"):
        next(many(10_000, party))
