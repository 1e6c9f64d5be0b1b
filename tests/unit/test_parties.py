"""The identity seed: what parties.toml says, what the loader refuses, and every misalignment that check names."""

import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from cryptography import x509

from proeftuin.credentials import did_x509
from proeftuin.identifiers import KVK_SYSTEM, OIN_SYSTEM, URA_SYSTEM, UZOVI_SYSTEM
from proeftuin.parties import (
    CATEGORIES,
    KINDS,
    VENDOR,
    Client,
    ConsentSeed,
    Party,
    Professional,
    Seed,
    SeedError,
    check,
    load,
)
from proeftuin.representation import CHILD, YOUTH, age
from proeftuin.sandbox.home import Home

SEED = load(Path(__file__).parents[2] / "parties.toml")
HOME = Party("thuis", "Thuis", "thuiszorg", ura="90000901", hosted_by="maker")
MAKER = Party("maker", "Maker", VENDOR, kvk="90990901")
OIN_FORM = "an OIN has 20 characters: 8 digits, then 8 of 0-9A-Z and 0000, or 9 of 0-9A-Z and 000"
NURSE = Professional("900010901", "N. Urse", "30.000", "Verpleegkundige", "thuis", "99000000930")
CLIENT = Client("999910000", "A", "B", date(1940, 1, 1), "female", ("thuis",))
CONSENT = ConsentSeed("999910000", "thuis", ("Condition",))


def small(**changes: tuple[object, ...]) -> Seed:
    entries = {"parties": (HOME, MAKER), "professionals": (NURSE,), "clients": (CLIENT,), "consents": (CONSENT,)}
    return Seed(**(entries | changes))  # type: ignore[arg-type] # the tests hand in what fits


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "parties.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_seed_of_the_project_has_no_misalignment() -> None:
    assert check(SEED) == []


def test_the_seed_has_a_party_of_every_kind_and_clients_of_every_kind_of_representation() -> None:
    assert {party.kind for party in SEED.parties} == KINDS.keys()
    assert {each.kind for client in SEED.clients for each in client.representatives} >= {"parent", "curator"}
    ages = {age(client.birth_date, date(2026, 6, 1)) for client in SEED.clients}
    assert min(ages) < CHILD < min(ages - {min(ages)}) < YOUTH


def test_the_demo_clients_are_known_in_two_places_and_differ_in_what_they_share() -> None:
    sharing, silent, selective = SEED.clients[:3]
    assert sharing.known_at == silent.known_at == ("verpleeghuis-avondrood", "thuiszorg-vliet")
    assert {each.holder for each in SEED.consents if each.client == sharing.bsn} == set(sharing.known_at)
    assert not [each for each in SEED.consents if each.client == silent.bsn]
    assert [each.categories for each in SEED.consents if each.client == selective.bsn] == [("Condition",)]


def test_lookups_find_the_party_the_professional_and_the_client() -> None:
    linde = SEED.party("ziekenhuis-de-linde")
    assert SEED.by_identifier(URA_SYSTEM, "90000101") is linde
    assert SEED.by_identifier(KVK_SYSTEM, "90990101") is linde
    assert SEED.by_identifier(OIN_SYSTEM, "00000009990002020000") is SEED.party("ciz")
    assert SEED.by_identifier(URA_SYSTEM, "99999999") is None
    nurse = SEED.professional("900010001")
    assert nurse is not None
    assert nurse.employer == linde.id
    assert SEED.client("999910000") is SEED.clients[0]
    assert SEED.client("999999205") is None
    assert SEED.professional("999999999") is None
    with pytest.raises(SeedError, match="no party 'nobody'; there are apotheek-de-vijzel, "):
        SEED.party("nobody")


def test_a_vendor_hosts_those_that_name_it_and_others_host_themselves() -> None:
    assert [party.id for party in SEED.hosted("zorgsoft")] == [
        "verpleeghuis-avondrood", "thuiszorg-vliet", "ggz-lindestreek", "paramedisch-centrum-de-kade",
    ]  # fmt: skip
    assert [party.id for party in SEED.hosted("carewave")] == [
        "verpleeghuis-de-brink", "huisartsenpraktijk-molenweg", "apotheek-de-vijzel",
    ]  # fmt: skip
    assert [party.id for party in SEED.hosted("ziekenhuis-de-linde")] == ["ziekenhuis-de-linde"]
    assert SEED.hosted("thuiszorg-vliet") == ()


@pytest.mark.parametrize(
    ("party", "client_id", "kind", "system"),
    [
        (Party("p", "P", "ziekenhuis", ura="1" * 8, oin="2" * 20, uzovi="3" * 4, kvk="4" * 8), "ura:" + "1" * 8, "uzi", URA_SYSTEM),
        (Party("p", "P", "gemeente", oin="2" * 20, uzovi="3" * 4, kvk="4" * 8), "oin:" + "2" * 20, "pkioverheid", OIN_SYSTEM),
        (Party("p", "P", "zorgkantoor", uzovi="3" * 4, kvk="4" * 8), "uzovi:3333", "vecozo", UZOVI_SYSTEM),
        (Party("p", "P", VENDOR, kvk="4" * 8, agb="5" * 8), "kvk:44444444", "vecozo", KVK_SYSTEM),
    ],
)
def test_client_id_prefers_ura_then_oin_then_uzovi_then_kvk(party: Party, client_id: str, kind: str, system: str) -> None:
    assert party.client_id == client_id
    assert party.certificate_kind == kind
    assert party.identifiers[0] == (system, client_id.partition(":")[2])
    assert party.is_care_provider == (kind == "uzi")


def test_a_party_without_identifier_has_no_client_id() -> None:
    with pytest.raises(SeedError, match="party 'p' has no ura"):
        _ = Party("p", "P", "gemeente", agb="55555555").client_id


def test_care_kinds_are_coded_by_nictiz_and_by_sbi_and_others_by_sbi() -> None:
    assert [coding["code"] for coding in KINDS["verpleeghuis"].codings] == ["X3", "87301"]
    assert [coding["system"] for coding in KINDS["gemeente"].codings] == ["https://www.cbs.nl/standaard-bedrijfsindeling"]


def test_a_vendor_adds_its_care_provider_in_five_lines(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "parties.toml").read_text(encoding="utf-8")
    example = "\n".join(re.findall(r"^#   (.+)$", text, re.MULTILINE))
    seed = load(write(tmp_path, f"{text}\n{example}\n"))
    assert check(seed) == []
    assert seed.party("verpleeghuis-van-ons") in seed.hosted("zorgsoft")
    home = Home(tmp_path / "home")
    home.prepare(tmp_path / "parties.toml", 9940)
    (chain,) = home.path.glob("instances/*/tenants/verpleeghuis-van-ons/x509.pem")
    leaf, authority = x509.load_pem_x509_certificates(chain.read_bytes())[:2]
    assert did_x509.mint(authority, leaf, ("O", "L"), ("otherName",)).startswith("did:x509:0:sha256:")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[party]\n", "parties.toml is not TOML: .*line 1"),
        ("[[organisation]]\nid = 'a'\n", "unknown organisation; there are party, professional, client"),
        ("[party]\nid = 'a'\n", r"party: write each entry under its own \[\[party\]\]"),
        ("[[party]]\nid = 'a'\nname = 'A'\n", r"party 1 \(a\): lacks kind"),
        ("[[party]]\nname = 'A'\n", "party 1: lacks id, kind"),
        ("[[party]]\nid = 'a'\nname = 'A'\nkind = 'cak'\nagn = '1'\n", r"party 1 \(a\): unknown field agn; there are id, "),
        ("[[party]]\nid = 'a'\nname = 'A'\nkind = 'cak'\nura = 90000101\n", r"party 1 \(a\): ura is text: put it between quotes"),
        ("[[professional]]\nuzi = '1'\n", "professional 1: lacks name, role, role_name, employer"),
        ("[[client]]\nbsn = '999910000'\n", "client 1: lacks given, family, birth_date, gender"),
        ("[[client]]\nbsn = '999910000'\nbirth_date = '1940-01-01'\ngiven = ''\nfamily = ''\ngender = ''", "birth_date is a date"),
        (
            "[[client]]\nbsn = '999910000'\nbirth_date = 1940-01-01\ngiven = ''\nfamily = ''\ngender = ''\nknown_at = 'a'",
            "known_at is a l",
        ),
        (
            "[[client]]\nbsn = '999910000'\nbirth_date = 1940-01-01\ngiven = ''\nfamily = ''\ngender = ''\n"
            "[[client.consent]]\nholder = '*'\n",
            "client 1, consent 1: lacks categories",
        ),
    ],
)
def test_the_loader_refuses_and_names_the_entry_without_a_bsn(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SeedError, match=message) as caught:
        load(write(tmp_path, text))
    assert "999910000" not in str(caught.value)


def test_the_loader_says_that_the_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(SeedError, match=r"cannot read .*No such file"):
        load(tmp_path / "absent.toml")


def test_the_loader_reads_what_does_not_line_up_and_leaves_it_to_check(tmp_path: Path) -> None:
    seed = load(write(tmp_path, "[[party]]\nid = 'A'\nname = 'A'\nkind = 'x'\n" * 2))
    assert len(seed.parties) == 2
    assert len(check(seed)) == 7


@pytest.mark.parametrize(
    ("seed", "faults"),
    [
        (small(), []),
        (
            small(parties=(replace(HOME, id="thuis"), MAKER, replace(MAKER, kvk="90990902"))),
            ["party 'maker' and party 'maker' have the same id"],
        ),
        (small(parties=(HOME, MAKER, Party("b", "B", "cak", kvk="90990901"))), ["party 'maker' and party 'b' have the same kvk"]),
        (small(parties=(replace(HOME, ura="9"), MAKER)), ["party 'thuis': a URA has 8 digits, with zeros on the left"]),
        (small(parties=(replace(HOME, agb="9"), MAKER)), ["party 'thuis': an AGB code has 8 digits"]),
        (small(parties=(HOME, replace(MAKER, oin="9"))), [f"party 'maker': {OIN_FORM}"]),
        (small(parties=(HOME, replace(MAKER, uzovi="9"))), ["party 'maker': a UZOVI code has 4 digits"]),
        (small(parties=(HOME, replace(MAKER, kvk="9"))), ["party 'maker': a KvK number has 8 digits"]),
        (small(parties=(HOME, replace(MAKER, kvk=None))), ["party 'maker': needs a ura, oin, uzovi or kvk to be identified by"]),
        (
            small(parties=(HOME, MAKER, Party("B_1", "B", "cak", kvk="90990902"))),
            ["party 'B_1': an id is lower case letters, digits and hyphens, and begins with a letter"],
        ),
        (small(parties=(replace(HOME, name="x" * 65), MAKER)), ["party 'thuis': a name has 1 to 64 characters"]),
        (small(parties=(replace(HOME, hosted_by="none"), MAKER)), ["party 'thuis': hosted_by 'none', which is no party"]),
        (
            small(parties=(replace(HOME, hosted_by="thuis"), MAKER)),
            ["party 'thuis': hosted_by 'thuis', which is no softwareleverancier but a thuiszorg"],
        ),
        (small(parties=(HOME, replace(MAKER, hosted_by="maker"))), ["party 'maker': a vendor hosts itself: leave out hosted_by"]),
        (small(parties=(HOME, MAKER, Party("b", "B", "ziekenhuis", kvk="90990902"))), ["party 'b': a ziekenhuis needs a ura"]),
        (small(professionals=(replace(NURSE, uzi="1"),)), ["professional 'N. Urse': a UZI number has 9 digits"]),
        (small(professionals=(replace(NURSE, role="30"),)), ["professional 'N. Urse': a UZI role code is written 00.000"]),
        (small(professionals=(replace(NURSE, big="30"),)), ["professional 'N. Urse': a BIG number has 11 digits"]),
        (small(professionals=(replace(NURSE, employer="none"),)), ["professional 'N. Urse': employer 'none' is no party"]),
        (
            small(professionals=(replace(NURSE, employer="maker"),)),
            ["professional 'N. Urse': employer 'maker' is no care provider: it has no ura"],
        ),
        (
            small(professionals=(NURSE, replace(NURSE, name="B", big=None))),
            ["professional 'N. Urse' and professional 'B' have the same uzi"],
        ),
        (
            small(professionals=(NURSE, replace(NURSE, name="B", uzi="900010902"))),
            ["professional 'N. Urse' and professional 'B' have the same big"],
        ),
        (small(clients=(CLIENT, CLIENT)), ["client 1 and client 2 have the same bsn"]),
        (
            small(clients=(CLIENT, replace(CLIENT, bsn="123456782"))),
            ["client 2: the bsn is not a fictitious one: 9999xxxxx that passes the 11-proef"],
        ),
        (small(clients=(replace(CLIENT, gender="v"),)), ["client 1: unknown gender 'v'; there are female, male, other, unknown"]),
        (small(clients=(replace(CLIENT, known_at=("none",)),)), ["client 1: known_at 'none', which is no party"]),
        (
            small(clients=(replace(CLIENT, known_at=("maker",)),)),
            ["client 1: known_at 'maker', which has no datastation: it is no care provider (no ura)"],
        ),
        (small(clients=(replace(CLIENT, known_at=("thuis", "thuis")),)), ["client 1: known_at names a party twice"]),
        (small(clients=()), ["consent 1: its client is not in the seed"]),
        (small(consents=(replace(CONSENT, holder="none"),)), ["consent 1: holder 'none' is no party, no kind and not '*'"]),
        (
            small(consents=(replace(CONSENT, holder="ziekenhuis", user="none"),)),
            ["consent 1: user 'none' is no party, no kind and not '*'"],
        ),
        (small(consents=(replace(CONSENT, categories=()),)), ["consent 1: names no category"]),
        (small(consents=(replace(CONSENT, categories=("Careplan",)),)), ["consent 1: unknown category Careplan"]),
        (small(consents=(replace(CONSENT, decision="maybe"),)), ["consent 1: unknown decision 'maybe'; there are permit, deny"]),  # type: ignore[arg-type] # the fault
    ],
)
def test_check_names_each_misalignment(seed: Seed, faults: list[str]) -> None:
    assert check(seed) == faults


def test_check_names_an_unknown_kind_and_the_kinds_there_are() -> None:
    (fault,) = check(small(parties=(replace(HOME, kind="kapper"), MAKER)))
    assert fault.startswith("party 'thuis': unknown kind 'kapper'; there are ziekenhuis, ")


def test_check_names_all_misalignments_at_once() -> None:
    seed = small(parties=(replace(HOME, ura="9"), replace(MAKER, kvk="9")), clients=(replace(CLIENT, gender="v"),))
    assert len(check(seed)) == 3


def test_the_categories_are_the_28_of_zorgcontext() -> None:
    assert len(CATEGORIES) == 28
    assert not CATEGORIES & {"CareServiceEntities", "Definitional", "Practitioner", "Subscription"}
