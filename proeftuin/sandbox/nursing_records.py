"""Nursing records of fictitious clients, as a care system exports them: one FHIR R4 collection Bundle for each (client, party).

The same seed gives the same bytes. A client has the same problems everywhere; what a party records of them depends on its kind.
`python -m proeftuin.sandbox.nursing_records` writes `records/<party id>/<client number>.json`; with `--check` it only compares.
Codes: SNOMED CT (International), ATC; care levels are the Wlz zorgprofielen Verpleging en Verzorging.
"""

import argparse
import json
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

from proeftuin.identifiers import BSN_SYSTEM, URA_SYSTEM, is_fictitious_bsn
from proeftuin.parties import Client, Party, Seed, load

Resource = dict[str, Any]

SEED = 1
EXPORTED = date(2026, 10, 1)  # the day on which all records are exported
RECORDS = Path(__file__).parent / "records"
SNOMED, ATC, UCUM = "http://snomed.info/sct", "http://www.whocc.no/atc", "http://unitsofmeasure.org"
CARE_LEVEL_SYSTEM = "https://proeftuin.example/CodeSystem/zorgprofiel"
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://proeftuin.example/records")
_HL7 = "http://terminology.hl7.org/CodeSystem/"


@dataclass(frozen=True, slots=True)
class Drug:
    """A medicine by ATC code, with its usual dose: `times` in each `period` days; `needed` = only when needed."""

    atc: str
    name: str
    dose: float
    unit: str
    form: str
    times: int = 1
    period: int = 1
    when: str | None = None
    needed: bool = False


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem by SNOMED CT code; `from_age` is the youngest age at onset, `care` what nurses do, with how often."""

    code: str
    display: str
    text: str
    from_age: int
    care: str
    often: str
    drugs: tuple[Drug, ...] = ()


_METOPROLOL = Drug("C07AB02", "metoprolol", 50, "mg", "tablet met gereguleerde afgifte", when="MORN")
_FUROSEMIDE = Drug("C03CA01", "furosemide", 40, "mg", "tablet", when="MORN")
_PARACETAMOL = Drug("N02BE01", "paracetamol", 1000, "mg", "2 tabletten van 500 mg", times=3)
PROBLEMS = (
    Problem("44054006", "Diabetes mellitus type 2", "Diabetes mellitus type 2", 45, "Bloedglucose meten en voeten controleren",
            "2 keer per week", (Drug("A10BA02", "metformine", 500, "mg", "tablet", times=2),)),
    Problem("38341003", "Hypertensive disorder", "Hypertensie", 45, "Bloeddruk meten", "1 keer per maand",
            (Drug("C08CA01", "amlodipine", 5, "mg", "tablet", when="MORN"), _METOPROLOL)),
    Problem("84114007", "Heart failure", "Hartfalen", 60, "Wegen en letten op oedeem en benauwdheid", "3 keer per week",
            (_FUROSEMIDE, _METOPROLOL)),
    Problem("49436004", "Atrial fibrillation", "Atriumfibrilleren", 55, "Letten op bloedingen bij antistolling", "dagelijks",
            (Drug("B01AF02", "apixaban", 5, "mg", "tablet", times=2),)),
    Problem("13645005", "Chronic obstructive lung disease", "COPD", 50, "Begeleiden bij inhaleren en rustig ademen", "dagelijks",
            (Drug("R03BB04", "tiotropium", 18, "ug", "inhalatiecapsule", when="MORN"),)),
    Problem("52448006", "Dementia", "Dementie", 65, "Structuur bieden en oriënteren in tijd en plaats", "dagelijks",
            (Drug("N06DA03", "rivastigmine", 3, "mg", "capsule", times=2),)),
    Problem("49049000", "Parkinson's disease", "Ziekte van Parkinson", 55, "Medicatie op vaste tijden aanreiken", "4 keer per dag",
            (Drug("N04BA02", "levodopa/carbidopa", 100, "mg", "tablet (dosis levodopa)", times=4),)),
    Problem("230690007", "Cerebrovascular accident", "Doorgemaakt CVA", 55, "Helpen bij wassen en aankleden", "dagelijks",
            (Drug("B01AC04", "clopidogrel", 75, "mg", "tablet", when="MORN"),
             Drug("C10AA01", "simvastatine", 40, "mg", "tablet", when="EVE"))),
    Problem("396275006", "Osteoarthritis", "Artrose", 50, "Mobiliseren en hulp bij transfers", "2 keer per dag", (_PARACETAMOL,)),
    Problem("64859006", "Osteoporosis", "Osteoporose", 60, "Buiten wandelen met begeleiding", "3 keer per week",
            (Drug("A11CC05", "colecalciferol", 800, "[iU]", "capsule"),
             Drug("M05BA04", "alendroninezuur", 70, "mg", "tablet", period=7, when="MORN"))),
    Problem("35489007", "Depressive disorder", "Depressieve stoornis", 40, "Dagbesteding aanbieden en stemming observeren",
            "dagelijks", (Drug("N06AB04", "citalopram", 20, "mg", "tablet", when="MORN"),)),
    Problem("14760008", "Constipation", "Obstipatie", 60, "Defecatie bijhouden en voldoende laten drinken", "dagelijks",
            (Drug("A06AD15", "macrogol", 1, "sachet", "poeder voor drank"),)),
    Problem("193462001", "Insomnia", "Slapeloosheid", 50, "Slaapritueel ondersteunen", "iedere avond",
            (Drug("N05CD07", "temazepam", 10, "mg", "capsule", when="HS", needed=True),)),
    Problem("165232002", "Urinary incontinence", "Urine-incontinentie", 60, "Toiletgang begeleiden en materiaal verwisselen",
            "4 keer per dag"),
    Problem("129839007", "At risk for falls", "Verhoogd valrisico", 65, "Looproute vrijhouden, rollator klaarzetten", "dagelijks"),
    Problem("84229001", "Fatigue", "Vermoeidheid", 55, "Rustmomenten inplannen", "2 keer per dag"),
)  # fmt: skip
_BY_CODE = {problem.code: problem for problem in PROBLEMS}
_DEMENTIA, _FALL_RISK, _PARKINSON, _CVA = "52448006", "129839007", "49049000", "230690007"
_STOMACH = Drug("A02BC01", "omeprazol", 20, "mg", "maagsapresistente capsule", when="ACM")  # beside what harms the stomach
CARE_LEVELS = {
    "4VV": "Beschut wonen met intensieve begeleiding en uitgebreide verzorging",
    "5VV": "Beschermd wonen met intensieve dementiezorg",
    "6VV": "Beschermd wonen met intensieve verzorging en verpleging",
    "7VV": "Beschermd wonen met zeer intensieve zorg, vanwege specifieke aandoeningen, met de nadruk op begeleiding",
    "8VV": "Beschermd wonen met zeer intensieve zorg, vanwege specifieke aandoeningen, met de nadruk op verzorging/verpleging",
}
_NURSING_PLAN = {"system": SNOMED, "code": "773130005", "display": "Nursing care plan"}
_CARE_PLAN = {"system": SNOMED, "code": "734163000", "display": "Care plan"}
_PRESCRIBERS = {"verpleeghuis": "Specialist ouderengeneeskunde", "ziekenhuis": "Medisch specialist"}
_WHEN = {"MORN": "'s ochtends", "EVE": "'s avonds", "HS": "voor het slapen", "ACM": "'s ochtends voor het ontbijt"}
_GIVEN = {
    "female": ("Anna", "Maria", "Elisabeth", "Hendrika", "Grietje", "Wilhelmina", "Yasmin", "Sunita"),
    "male": ("Jan", "Cornelis", "Johannes", "Klaas", "Dirk", "Ahmed", "Ravi", "Antonius"),
}
_FAMILY = ("de Boer", "Visser", "Smit", "Bakker", "van Dijk", "Mulder", "Bos", "Yilmaz", "Peters", "van Leeuwen", "Kok", "Singh")


def generate(client: Client, party: Party, seed: int = SEED) -> Resource:
    """Return what `party` recorded of `client`, a Bundle: Patient, Conditions, MedicationRequests and a CarePlan."""
    record = _Record(client, party, seed)
    conditions = [record.condition(problem) for problem in record.problems]
    medication = [record.medication(drug, problem) for drug, problem in record.drugs()]
    resources = [record.patient(), *conditions, *medication, record.care_plan(conditions)]
    base = f"https://{party.id}.proeftuin.example/fhir"
    return {
        "resourceType": "Bundle",
        "id": record.id("Bundle"),
        "type": "collection",
        "timestamp": f"{EXPORTED}T06:00:00.000Z",
        "entry": [{"fullUrl": f"{base}/{each['resourceType']}/{each['id']}", "resource": each} for each in resources],
    }


def many(count: int, party: Party, seed: int = SEED) -> Iterator[tuple[Client, Resource]]:
    """Yield `count` fictitious clients of `party` with their records; raises ValueError when there are not that many BSNs."""
    bsns = [bsn for bsn in map(str, range(999940000, 1000000000)) if is_fictitious_bsn(bsn)]
    if count > len(bsns):
        raise ValueError(f"there are {len(bsns)} fictitious BSNs to give, not {count}")
    rng = Random(f"{seed}/clients")  # noqa: S311 - believable data, nothing secret
    for number, bsn in enumerate(bsns[:count]):
        gender = rng.choice(("female", "female", "male"))
        born = date(1930, 1, 1) + timedelta(days=number * 7919 % 9131)  # each another day in 25 years, as both are coprime
        client = Client(bsn, rng.choice(_GIVEN[gender]), rng.choice(_FAMILY), born, gender, (party.id,))
        yield client, generate(client, party, seed)


def files(seed: Seed) -> dict[Path, str]:
    """Return the content of each file, by path within the folder; clients are numbered from 1 as parties.toml has them."""
    return {
        Path(party) / f"{number}.json": json.dumps(generate(client, seed.party(party)), ensure_ascii=False, indent=1) + "\n"
        for number, client in enumerate(seed.clients, start=1)
        for party in client.known_at
    }


def write(folder: Path, seed: Seed) -> None:
    """Write the records of every client at every party that knows it, and remove those of others."""
    wanted = files(seed)
    for path in set(_present(folder)) - set(wanted):
        (folder / path).unlink()
    for path, content in wanted.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content, "utf-8")


def differences(folder: Path, seed: Seed) -> list[str]:
    """Return the files in `folder` that are missing, differ, or should not be there."""
    wanted = files(seed)
    present = {path: (folder / path).read_text("utf-8") for path in _present(folder)}
    return sorted(str(path) for path in wanted.keys() | present.keys() if wanted.get(path) != present.get(path))


def _present(folder: Path) -> list[Path]:
    return [path.relative_to(folder) for path in folder.glob("*/*.json")]


class _Record:
    """What one party knows of one client."""

    def __init__(self, client: Client, party: Party, seed: int) -> None:
        self.client, self.party = client, party
        # named by the person, not by the BSN: an id stands in URLs, and a hash of nine digits is soon undone
        self._person = f"{client.given} {client.family} {client.birth_date} {client.gender}"
        self.rng = Random(f"{seed}/{self._person}/{party.id}")  # noqa: S311 - believable data, nothing secret
        self.problems = self._known_problems(Random(f"{seed}/{self._person}"))  # noqa: S311 - idem
        self.onset = {code: self._onset(code, seed) for code in self._all}
        self.since = EXPORTED - timedelta(days=self.rng.randint(60, 4 * 365))  # in care here
        self.subject = {"reference": f"Patient/{self.id('Patient')}", "type": "Patient"}
        self.organization = {
            "type": "Organization",
            "identifier": {"system": URA_SYSTEM, "value": party.ura},
            "display": party.name,
        }
        if party.ura is None:
            del self.organization["identifier"]

    def _known_problems(self, rng: Random) -> list[Problem]:
        """Choose from what the client has (`rng` is the client's own): a specialised party knows part of it."""
        age = (EXPORTED - self.client.birth_date).days // 365
        eligible = [problem for problem in PROBLEMS if problem.from_age < age - 1]
        chosen = {problem.code for problem in rng.sample(eligible, min(rng.randint(4, 7), len(eligible)))}
        if chosen & {_PARKINSON, _CVA, _DEMENTIA} and age > _BY_CODE[_FALL_RISK].from_age + 1:
            chosen.add(_FALL_RISK)
        self._all = [problem.code for problem in PROBLEMS if problem.code in chosen]
        known = self._all if self.party.kind in ("verpleeghuis", "huisartsenpraktijk") else self._all[: max(3, len(self._all) - 2)]
        return [_BY_CODE[code] for code in known]

    def _onset(self, code: str, seed: int) -> date:
        """Return the first of the month in which the problem began: the same at every party, never before `from_age`."""
        rng = Random(f"{seed}/{self._person}/{code}")  # noqa: S311 - idem
        born = self.client.birth_date
        first = max(date(born.year + _BY_CODE[code].from_age, 12, 1), date(EXPORTED.year - 20, 1, 1))
        months = (EXPORTED.year - first.year) * 12 + EXPORTED.month - first.month - 6
        year, month = divmod(first.year * 12 + first.month - 1 + rng.randint(0, max(months, 0)), 12)
        return date(year, month + 1, 1)

    def id(self, *parts: str) -> str:
        return str(uuid.uuid5(_NAMESPACE, "/".join((self.party.id, self._person, *parts))))

    def patient(self) -> Resource:
        client = self.client
        patient: Resource = {
            "resourceType": "Patient",
            "id": self.id("Patient"),
            "identifier": [{"use": "official", "system": BSN_SYSTEM, "value": client.bsn}],
            "active": True,
            "name": [
                {"use": "official", "text": f"{client.given} {client.family}", "family": client.family, "given": [client.given]}
            ],
            "gender": client.gender,
            "birthDate": str(client.birth_date),
            "managingOrganization": self.organization,
        }
        if self.party.city is not None:
            patient["address"] = [{"use": "home", "type": "both", "city": self.party.city, "country": "NL"}]
        return patient

    def condition(self, problem: Problem) -> Resource:
        onset = self.onset[problem.code]
        return {
            "resourceType": "Condition",
            "id": self.id("Condition", problem.code),
            "clinicalStatus": _concept(_HL7 + "condition-clinical", "active"),
            "verificationStatus": _concept(_HL7 + "condition-ver-status", "confirmed"),
            "category": [_concept(_HL7 + "condition-category", "problem-list-item")],
            "code": _concept(SNOMED, problem.code, problem.display) | {"text": problem.text},
            "subject": self.subject,
            "onsetDateTime": f"{onset:%Y-%m}",
            "recordedDate": str(max(onset, self.since)),
        }

    def drugs(self) -> list[tuple[Drug, Problem]]:
        """Choose one medicine for each problem, none twice, and a stomach protector beside an anticoagulant."""
        chosen: dict[str, tuple[Drug, Problem]] = {}
        for problem in self.problems:
            left = [drug for drug in problem.drugs if drug.atc not in chosen]
            if left:
                drug = self.rng.choice(left)
                chosen[drug.atc] = (drug, problem)
        for atc in ("B01AF02", "B01AC04"):
            if atc in chosen:
                chosen.setdefault(_STOMACH.atc, (_STOMACH, chosen[atc][1]))
        return list(chosen.values())

    def medication(self, drug: Drug, problem: Problem) -> Resource:
        start = max(self.onset[problem.code], self.since)
        return {
            "resourceType": "MedicationRequest",
            "id": self.id("MedicationRequest", drug.atc),
            "status": "active",
            "intent": "order",
            "medicationCodeableConcept": _concept(ATC, drug.atc, drug.name) | {"text": f"{drug.name}, {drug.form}"},
            "subject": self.subject,
            "authoredOn": str(start),
            "requester": {"display": _PRESCRIBERS.get(self.party.kind, "Huisarts")},
            "reasonReference": [{"reference": f"Condition/{self.id('Condition', problem.code)}", "display": problem.text}],
            "dosageInstruction": [_dosage(drug)],
        }

    def care_plan(self, conditions: list[Resource]) -> Resource:
        nursing = self.party.kind in ("verpleeghuis", "thuiszorg")
        categories: list[Resource] = [{"coding": [_NURSING_PLAN if nursing else _CARE_PLAN]}]
        if self.party.kind == "verpleeghuis":
            level = self._care_level()
            text = f"Zorgprofiel VV {level[0]}: {CARE_LEVELS[level]}"
            categories.append(_concept(CARE_LEVEL_SYSTEM, level, CARE_LEVELS[level]) | {"text": text})
        return {
            "resourceType": "CarePlan",
            "id": self.id("CarePlan"),
            "status": "active",
            "intent": "plan",
            "category": categories,
            "title": "Zorgleefplan" if nursing else "Behandelplan",
            "subject": self.subject,
            "period": {"start": str(self.since)},
            "created": str(self.since),
            "author": self.organization,
            "addresses": [
                {"reference": f"Condition/{condition['id']}", "display": condition["code"]["text"]} for condition in conditions
            ],
            "activity": [{"detail": self._activity(problem)} for problem in self.problems],
        }

    def _activity(self, problem: Problem) -> Resource:
        return {
            "code": {"text": problem.care},
            "reasonReference": [{"reference": f"Condition/{self.id('Condition', problem.code)}"}],
            "status": "in-progress",
            "scheduledString": problem.often,
            "description": f"{problem.care}, {problem.often}, in verband met {problem.text}.",
        }

    def _care_level(self) -> str:
        known = {problem.code for problem in self.problems}
        if _DEMENTIA in known:
            return "7VV" if known & {_PARKINSON, _CVA} else "5VV"
        if known & {_PARKINSON, _CVA}:
            return "8VV" if len(known) > 6 else "6VV"
        return "6VV" if len(known) > 6 else "4VV"


def _concept(system: str, code: str, display: str | None = None) -> Resource:
    coding = {"system": system, "code": code}
    return {"coding": [coding | ({"display": display} if display else {})]}


def _dosage(drug: Drug) -> Resource:
    unit = {"[iU]": "IE", "ug": "microgram"}.get(drug.unit, drug.unit)
    often = f"{drug.times} keer per {'dag' if drug.period == 1 else 'week'}"
    when = f", {_WHEN[drug.when]}" if drug.when else ""
    repeat: Resource = {"frequency": drug.times, "period": 1, "periodUnit": "d" if drug.period == 1 else "wk"}
    if drug.when is not None:
        repeat["when"] = [drug.when]
    quantity: Resource = {"value": drug.dose, "unit": unit}
    if drug.unit != "sachet":
        quantity |= {"system": UCUM, "code": drug.unit}
    dosage: Resource = {
        "text": f"{often} {drug.dose:g} {unit}{when}{', zo nodig' if drug.needed else ''}",
        "timing": {"repeat": repeat},
        "doseAndRate": [{"doseQuantity": quantity}],
    }
    return dosage | ({"asNeededBoolean": True} if drug.needed else {})


def main() -> int:
    """Write the records, or with --check tell which files are not what would be written (exit status 1)."""
    parser = argparse.ArgumentParser(description="The nursing records of the fictitious clients.")
    parser.add_argument("--check", action="store_true", help="compare only")
    parser.add_argument("--parties", type=Path, default=Path("parties.toml"))
    parser.add_argument("--folder", type=Path, default=RECORDS)
    arguments = parser.parse_args()
    seed = load(arguments.parties)
    if not arguments.check:
        write(arguments.folder, seed)
        return 0
    found = differences(arguments.folder, seed)
    sys.stdout.writelines(f"differs: {path}\n" for path in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
