"""The words of the pages about consent: every decision, effect and refusal as a client reads it, and forms that are not one yet."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from proeftuin.overview.table import WORDS
from proeftuin.parties import CARE_KINDS, load
from proeftuin.reasons import CONSENT_OBJECTION_PART, CONSENT_WITHDRAWN, NO_CONSENT
from proeftuin.sandbox.care_system import Stopped
from proeftuin.sandbox.portal import words
from proeftuin.sandbox.portal.choices import OFFERED, Choice, Fields, Held, Incomplete, read_form, read_resource, resource, same
from proeftuin.sandbox.portal.effects import effects
from proeftuin.sandbox.portal.network import Declined
from services.consent.model import read_consent

SEED = load(Path(__file__).parents[3] / "parties.toml")
TODAY = date(2026, 6, 1)
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
BRINK, LINDE, OEVER = "verpleeghuis-de-brink", "ziekenhuis-de-linde", "ziekenhuis-oeverzicht"
FIELDS: Fields = [("antwoord", "ja"), ("van", BRINK), ("aan", "ziekenhuis"), ("wat", "Condition")]


def yes(holder: str, user: str, *categories: str) -> Choice:
    return Choice(True, holder, user, categories or ("Condition",))


def no(holder: str, user: str, *categories: str) -> Choice:
    return Choice(False, holder, user, categories or ("Condition",))


def held(choice: Choice) -> Held:
    return Held("1", "1", "active", choice, NOW, NOW, ())


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        (yes(BRINK, LINDE), "Ziekenhuis De Linde mag uw gegevens van Verpleeghuis De Brink zien."),
        (yes(BRINK, "ziekenhuis"), "Ziekenhuizen mogen uw gegevens van Verpleeghuis De Brink zien."),
        (yes("huisartsenpraktijk", "thuiszorg"), "De thuiszorg mag uw gegevens van alle huisartsen zien."),
        (yes("*", "*"), "Iedere zorgverlener mag uw gegevens van alle zorgverleners zien."),
        (no("*", "*"), "Niemand mag uw gegevens van alle zorgverleners zien."),
        (no("*", "apotheek"), "Apotheken mogen uw gegevens van alle zorgverleners niet zien."),
        (no(BRINK, OEVER), "Ziekenhuis Oeverzicht mag uw gegevens van Verpleeghuis De Brink niet zien."),
        (yes(BRINK, "ura:90000999"), "een organisatie met nummer 90000999 mag uw gegevens van Verpleeghuis De Brink zien."),
    ],
)
def test_a_decision_is_one_sentence(choice: Choice, sentence: str) -> None:
    assert words.sentence(choice, SEED) == sentence


def test_a_representative_reads_whose_data_it_is() -> None:
    mother, child = SEED.clients[11], SEED.clients[10]
    data = words.whose(mother, child)
    assert words.sentence(yes(BRINK, LINDE), SEED, data) == (
        "Ziekenhuis De Linde mag de gegevens van Noor de Vries bij Verpleeghuis De Brink zien."
    )


@pytest.mark.parametrize(
    ("new", "old", "told"),
    [
        (yes(BRINK, LINDE), no("*", "*"), "Uw nieuwe ja is preciezer en gaat hierbij voor. Dit gaat over: Ziekten en klachten."),
        (yes("*", "*"), no(BRINK, LINDE), "Dat nee blijft gelden, want uw nieuwe ja is niet preciezer."),
        (yes(BRINK, LINDE), no(BRINK, LINDE), "Trek dat nee dan eerst in."),
        (yes(BRINK, "*"), no("*", LINDE), "Dat nee blijft gelden"),  # neither is more specific
        (no("*", "*"), yes(BRINK, LINDE), "Dat ja is preciezer en blijft gelden."),
        (no(BRINK, LINDE), yes(BRINK, LINDE), "Uw nieuwe nee gaat hierbij voor."),
        (yes(BRINK, LINDE, "GGC002"), no(BRINK, LINDE, "GGC013"), "Dit gaat over: Alle medicijnen."),
        (yes(BRINK, LINDE, "MedicationUse"), no(BRINK, LINDE, "GGC002"),
         "gaat hierbij voor. Dit gaat over: Medicijnen die u gebruikt"),
    ],
)  # fmt: skip
def test_what_a_decision_does_to_an_earlier_one_is_told(new: Choice, old: Choice, told: str) -> None:
    (effect,) = effects(new, [held(old)], SEED)
    text = words.effect(effect, new, SEED)
    assert text.startswith(f"U zei eerder {'ja' if old.permit else 'nee'}: “{words.sentence(old, SEED)}”")
    assert told in text


@pytest.mark.parametrize(
    ("new", "old"),
    [
        (yes(BRINK, LINDE), yes("*", "*")),  # says the same
        (yes(BRINK, LINDE), no(BRINK, OEVER)),
        (yes(BRINK, LINDE), no("ziekenhuis", LINDE)),
        (yes(BRINK, LINDE), no(BRINK, LINDE, "Episode")),
    ],
)
def test_what_a_decision_leaves_alone_is_not_told(new: Choice, old: Choice) -> None:
    assert effects(new, [held(old)], SEED) == []


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Declined("consent", "version_stale"), "intussen veranderd"),
        (Declined("no token", "subject_mismatch"), "voor een ander"),
        (Declined("consent", "representation"), "ouder of voogd"),
        (Declined("consent", "http_503"), "Wij weten niet of het is gelukt"),
        (Declined("consent", "throttled"), "(throttled)"),
        (Stopped("no network"), "geeft geen antwoord"),
    ],
)
def test_a_refusal_says_what_to_do(error: Stopped, told: str) -> None:
    assert told in words.refusal(error)


def test_there_are_words_for_all_that_can_be_chosen() -> None:
    assert set(words.CONSENT["holder"]) == set(words.CONSENT["user"]) == CARE_KINDS | {"*"}
    assert set(WORDS["category"]) >= OFFERED
    assert set(words.CONSENT["group"]) <= OFFERED
    assert {NO_CONSENT.code, CONSENT_WITHDRAWN.code, CONSENT_OBJECTION_PART.code} <= set(words.CONSENT["reason"])


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"antwoord": "misschien"}, "antwoord"),
        ({"van": "igj"}, "van"),
        ({"van": ""}, "van"),
        ({"aan": "999910000"}, "aan"),
        ({"wat": "Logging"}, "wat"),
        ({"wat": "<script>"}, "wat"),
        ({"tot": "gisteren"}, "tot"),
        ({"tot": "2026-05-31"}, "tot"),
        ({"tot": "9999-12-31"}, "tot"),
    ],
)
def test_a_form_that_is_no_decision_says_where(changed: dict[str, str], field: str) -> None:
    with pytest.raises(Incomplete) as raised:
        read_form(list((dict(FIELDS) | changed).items()), SEED, TODAY)
    assert raised.value.field == field


@pytest.mark.parametrize("until", [None, TODAY])
@pytest.mark.parametrize(("holder", "user"), [("*", "*"), (BRINK, "ziekenhuis"), ("thuiszorg", LINDE)])
@pytest.mark.parametrize("permit", [True, False])
def test_form_and_register_say_the_same(*, permit: bool, holder: str, user: str, until: date | None) -> None:
    choice = Choice(permit, holder, user, ("GGC013", "Condition"), until)
    assert read_form(choice.fields(), SEED, TODAY) == choice
    made = resource(choice, SEED, SEED.clients[0], NOW)
    assert read_consent(made, SEED.clients[0].bsn).permit is permit  # the register takes it
    stored = made | {"id": "1", "meta": {"versionId": "2", "lastUpdated": "2026-06-01T12:00:00.000Z"}}
    assert read_resource(stored, SEED).choice == choice


def test_what_is_said_already_need_not_be_said_again() -> None:
    wide = yes(BRINK, LINDE, "Condition", "Episode")
    assert same(yes(BRINK, LINDE, "Episode"), [wide])
    assert not same(no(BRINK, LINDE, "Episode"), [wide])
    assert not same(yes(BRINK, LINDE, "Alert"), [wide])
    assert not same(yes(BRINK, LINDE, "Episode"), [Choice(True, BRINK, LINDE, ("Episode",), TODAY)])
