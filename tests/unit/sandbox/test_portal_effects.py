"""What the portal says will hold is what the register decides: compared over generated decisions and questions."""

from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from proeftuin.categories import parts
from proeftuin.parties import load
from proeftuin.sandbox.portal.choices import Choice, Held, resource
from proeftuin.sandbox.portal.effects import effects, objections, permitted
from services.consent.decisions import PERMIT, Question, decide
from services.consent.model import Consent, read_consent

SEED = load(Path(__file__).parents[3] / "parties.toml")
CLIENT = SEED.clients[0]
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
CATEGORIES = ("GGC002", "GGC012", "GGC013", "Condition", "MedicationUse", "Imaging")
HOLDERS = ("*", "verpleeghuis", "verpleeghuis-de-brink", "thuiszorg")
USERS = ("*", "ziekenhuis", "ziekenhuis-de-linde", "apotheek")
CHOICES = st.builds(
    Choice, st.booleans(), st.sampled_from(HOLDERS), st.sampled_from(USERS),
    st.lists(st.sampled_from(CATEGORIES), min_size=1, max_size=3, unique=True).map(tuple),
)  # fmt: skip
HOLDER, USER = SEED.party("verpleeghuis-de-brink"), SEED.party("ziekenhuis-de-linde")
QUESTION = Question(HOLDER.ura, HOLDER.kind, USER.ura, USER.kind, "TREAT")


def consent(choice: Choice, number: int) -> Consent:
    return read_consent(resource(choice, SEED, CLIENT, NOW) | {"id": str(number)}, CLIENT.bsn)


def decided(choices: list[Choice], category: str) -> bool:
    consents = [consent(each, number) for number, each in enumerate(choices)]
    return decide(QUESTION, category, consents, "2026-06-01T12:00:00.000Z").outcome == PERMIT


@given(st.lists(CHOICES, max_size=5), st.sampled_from(CATEGORIES))
@settings(deadline=None)
def test_what_may_be_seen_is_what_the_register_permits(choices: list[Choice], category: str) -> None:
    assert permitted(choices, HOLDER, USER, category, SEED) is decided(choices, category)


@given(st.lists(CHOICES, max_size=5), st.sampled_from(CATEGORIES))
@settings(deadline=None)
def test_a_yes_helps_exactly_when_no_objection_stands_against_it(choices: list[Choice], category: str) -> None:
    with_yes = [*choices, Choice(True, HOLDER.id, USER.id, (category,))]
    assert decided(with_yes, category) is (objections(with_yes, HOLDER, USER, category, SEED) == [])


@given(CHOICES, CHOICES)
@settings(deadline=None)
def test_who_wins_of_two_is_who_the_register_lets_win(new: Choice, old: Choice) -> None:
    meant = {new.holder, old.holder} <= {"*", HOLDER.kind, HOLDER.id} and {new.user, old.user} <= {"*", USER.kind, USER.id}
    for effect in effects(new, [Held("1", "1", "active", old, NOW, NOW, ())], SEED):
        for category in effect.categories:
            if meant and not parts(category):  # who asks a whole may be refused for a part
                assert decided([old, new], category) is (new.permit if effect.wins else old.permit)
