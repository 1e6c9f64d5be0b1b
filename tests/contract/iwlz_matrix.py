"""Rows of the negative matrix that the iWlz enforcement point judges, and what each profile answers (RFC0014, RFC0040)."""

from dataclasses import dataclass
from typing import Any

ID, OTHER = "c37239b0-9e3d-4c00-88fd-01f37e590fc0", "0f6b4a52-5b1e-4f1f-9d7e-0c6a8c1f4f11"
IR = "registers/wlzindicatieregister/indicaties/indicatie:read"
BR = "registers/wlzbemiddelingsregister/bemiddelingen/bemiddeling:read"
N_ZA, N_ZK = (f"organisaties/{kind}/notificaties/notificatie:create" for kind in ("zorgaanbieder", "zorgkantoor"))
M_ZK = "organisaties/zorgkantoor/meldingen/melding:create"
ZA, ZK = "zorgaanbieder", "zorgkantoor"
PASSES = 0  # in that profile it is no violation, and goes on to the resource server


@dataclass(frozen=True)
class Row:
    """A request by `by`: status and code by the bundle, status by the specification, and all that is said, each after its title.

    `proves` is the row of the matrix. `query` is a document, or the changes to a message that would pass.
    """

    proves: str
    by: str
    scope: str
    query: str | dict[str, Any]
    bundle: tuple[int, str] | int
    specification: int
    texts: tuple[str, ...]
    said_in_spec: str = ""  # where the specification's text is another


BAD, INVALID, UNAUTHORIZED = (400, "BAD_REQUEST"), (400, "GRAPHQL_VALIDATION_FAILED"), (401, "UNAUTHORIZED")
BY_ID = f'bemiddelingspecificatieID: {{eq: "{ID}"}}'
OWN = f"{BY_ID}, instelling: {{eq: $agb}}"
START = 'toewijzingIngangsdatum: {eq: "2026-01-01"}'
FIXED, OPEN, UNTIL = (
    'vaststellingMoment: {eq: "2025-12-01T10:00Z"}',
    "toewijzingEinddatum: {eq: null}",
    "toewijzingEinddatum: {eq: ",
)
DATES = f"{OWN}, {START}, {FIXED}, {OPEN}"
CLOSED = f'{OWN}, {START}, {FIXED}, {UNTIL}"2026-12-31"}}'
PAST = f'{OWN}, toewijzingIngangsdatum: {{eq: "2020-01-01"}}, {FIXED}, {UNTIL}"2020-12-31"}}'
FILTERED = 'or: [{einddatum: {eq: null}}, {einddatum: {gt: "2026-01-01"}}]'
IN_PAST = 'ingangsdatum: {ngt: "2020-12-31"}, or: [{einddatum: {eq: null}}, {einddatum: {gt: "2020-01-01"}}]'
THEIRS = FILTERED.replace("einddatum", "toewijzingEinddatum")
FILTER = (
    "'vaststellingMoment', 'toewijzingIngangsdatum', and `toewijzingEinddatum` are required "
    "and must be used to filter the subentities."
)
MAY_31 = (
    "A 'regiehouder' or 'bemiddelingspecificatie' may only be queried until the next year's may 31st "
    "after the 'ToewijzingEinddatum'."
)
MATRIX_SAYS = "The autorisatiematrix does not give this attribute."
NOT_OWN = "You may only query your own 'bemiddeling'."
SPECIFICATION = "A where 'bemiddelingspecificatieID' equals is required."
EITHER = "A 'instelling' or 'uitvoerendZorgkantoor' equals is required and must be set to your agb or uzovi respectively."
CLIENT = "fragment F on Client { x: bemiddeling { __typename } }"


def spec(where: str, fields: str, more: str = "") -> str:
    """Return a query for a bemiddelingspecificatie."""
    return f"query B($agb: String) {{ bemiddelingspecificatie(where: {{{where}}}) {{ {fields} }} }} {more}"


def regie(where: str) -> str:
    """Return the regiehouders under a bemiddelingspecificatie, with a filter."""
    return f"bemiddeling {{ regiehouder{f'(where: {{{where}}})' if where else ''} {{ regierol }} }}"


QUERIES = [
    Row("scope: read with a notification scope", ZA, N_ZK, spec(OWN, "zzpCode"), BAD, 403,
        ("scope not allowed",), "Scope is not allowed"),
    Row("record: foreign agb", ZA, BR, spec(f'{BY_ID}, instelling: {{eq: "1"}}, zzpCode: {{neq: $agb}}', "zzpCode"),
        BAD, 403,
        ("A where 'instelling' equals is required and set to your agb.",)),
    Row("record: foreign uzovi", ZK, BR, spec(f'{BY_ID}, uitvoerendZorgkantoor: {{eq: "1"}}, zzpCode: {{neq: $agb}}', "zzpCode"),
        BAD, 403,
        ("A where 'uitvoerendZorgkantoor' equals is required and set to your uzovi.",)),
    Row("record: bsn on IR 2", ZA, IR, 'query I { wlzIndicatie(where: {bsn: {eq: "999910000"}}) { bsn } }', INVALID, 400,
        ("The query does not fit the schema.",)),
    Row("wide: no id", ZA, BR, spec("instelling: {eq: $agb}", "zzpCode"), BAD, 403, (SPECIFICATION,)),
    Row("wide: only in", ZA, BR, spec(f"{BY_ID}, instelling: {{in: [$agb]}}", "zzpCode"), BAD, 403, (EITHER,)),
    Row("wide: or around the filter", ZA, BR, spec(f"or: [{{{OWN}}}, {{percentage: {{gt: 0}}}}]", "zzpCode"), BAD, 403,
        (SPECIFICATION, EITHER)),
    Row("wide: alias", ZA, BR, spec(OWN, "mine: bemiddeling { client { x: bemiddeling { __typename } } }").replace(
        "bemiddelingspecificatie(", "anders: bemiddelingspecificatie("), BAD, 403, (NOT_OWN,)),
    Row("wide: fragment", ZA, BR, spec(OWN, "bemiddeling { client { ...F } }", CLIENT), BAD, 403, (NOT_OWN,)),
    Row("wide: inline fragment", ZA, BR, spec(OWN, "bemiddeling { client { ... on Client { bemiddeling { __typename } } } }"),
        BAD, 403, (NOT_OWN,)),
    Row("wide: directive", ZA, BR, spec(OWN, "bemiddeling { client { bemiddeling @include(if: true) { __typename } } }"), BAD, 403,
        (NOT_OWN,)),
    Row("wide: directive", ZA, BR, spec(OWN, "bemiddeling { client { bemiddeling @skip(if: false) { __typename } } }"), BAD, 403,
        (NOT_OWN,)),
    Row("wide: second root field", ZA, BR, "{ client { bsn } regiehouder { regierol } }", BAD, 400,
        ("Only one selectionset in an operation is supported.",)),
    Row("wide: two operations", ZA, BR, "query A { client { bsn } } query B { client { bsn } }", BAD, 400,
        ("Only one operation at the time is supported.",)),
    Row("wide: nothing known", ZA, BR, "{ users { name } }", BAD, 400, ("No operation found to evaluate",)),
    Row("http: parse error", ZA, BR, "{ client", BAD, 400, ("Unable to parse graphql query",)),
    Row("wide: introspection", ZA, BR, "{ __schema { types { name } } }", BAD, 400, ("Introspection is not offered.",)),
    Row("wide: depth bomb", ZA, BR, spec(OWN, "bemiddeling { client { " * 8 + "bsn" + " } }" * 8), BAD, 400,
        ("The query is too large.",)),
    Row("wide: overdracht by a provider", ZA, BR, spec(OWN, "overdrachtspecificatie { __typename }"), BAD, 403,
        ("'overdracht' and 'overdrachtSpecificatie' may not be queried as part of this query.",)),
    Row("wide: client{bemiddeling}", ZA, BR, spec(OWN, "bemiddeling { client { bemiddeling { __typename } } }"), BAD, 403,
        (NOT_OWN,)),
    Row("wide: nested pgbPercentage", ZA, BR,
        spec(DATES, f"bemiddeling {{ bemiddelingspecificatie(where: {{{THEIRS}}}) {{ pgbPercentage }} }}"),
        BAD, 403, ("You may only query your own 'pgbPercentage'.",), MATRIX_SAYS),
    Row("wide: subentity without filter", ZA, BR, spec(DATES, regie("")), BAD, 403, (FILTER,)),
    Row("wide: fake date", ZA, BR, spec(DATES, regie(FILTERED.replace("2026", "2016"))), BAD, 403, (FILTER,)),
    Row("wide: lte for ngt", ZA, BR, spec(CLOSED, regie(f'ingangsdatum: {{lte: "2026-12-31"}}, {FILTERED}')), BAD, 403, (FILTER,)),
    Row("wide: open end not declared", ZA, BR, spec(DATES, regie('einddatum: {gt: "2026-01-01"}')), BAD, 403, (FILTER,)),
    Row("wide: no toewijzingIngangsdatum", ZA, BR, spec(f"{OWN}, {FIXED}, {OPEN}", regie(FILTERED)), BAD, 403,
        ("A where 'toewijzingIngangsdatum' equals is required when querying a subentity.",)),
    Row("wide: no vaststellingMoment", ZA, BR, spec(f"{OWN}, {START}, {OPEN}", regie(FILTERED)), BAD, 403,
        ("A where 'vaststellingMoment' equals is required when querying a subentity.",)),
    Row("wide: no toewijzingEinddatum", ZA, BR, spec(f"{OWN}, {START}, {FIXED}", regie(FILTERED)), BAD, 403,
        ("A where 'toewijzingEinddatum' equals is required, and must be used to filter on the subentities.",)),
    Row("wide: after 31 May", ZA, BR, spec(PAST, regie(IN_PAST)), BAD, 403,
        (MAY_31,)),
    Row("wide: after two years", ZA, BR,
        spec(PAST, f"bemiddeling {{ client {{ contactpersoon(where: {{{IN_PAST}}}) {{ volgorde }} }} }}"),
        BAD, 403, ("A 'contactgegevens' or 'contactpersoon' may only be queried until 2 years after the 'ToewijzingEinddatum'.",)),
    Row("wide: outside the matrix", ZA, BR, spec(OWN, "pgbPercentage"), PASSES, 403, (MATRIX_SAYS,)),
]  # fmt: skip
SENT = "afzenderIDType"
RECEIVER = ("Scope for `ontvangerIDType` not valid.",)
MESSAGES = [  # each with one thing changed in a message of a zorgkantoor that passes
    Row("scope: scope of another receiver", ZK, N_ZA, {"ontvangerIDType": "UZOVI", "ontvangerID": "9901"}, INVALID, 403, RECEIVER),
    Row("message: wrong afzenderID", ZK, N_ZA, {"afzenderID": "9902"}, INVALID, 403, ("afzender_id is not valid.",)),
    Row("message: wrong afzenderIDType", ZK, N_ZA, {SENT: "KVK"}, INVALID, 403, ("afzender_type is not valid.",)),
    Row("message: unknown event", ZK, N_ZA, {"eventType": "IETS"}, INVALID, 403, ("event_type is not valid.",)),
    Row("message: unknown event", ZK, M_ZK, {"eventType": "FOUT"}, INVALID, 403, ("event_type is not valid.",)),
    Row("message: event for another receiver", ZK, N_ZA, {"eventType": "NIEUWE_OVERDRACHT_ZORGKANTOOR"}, INVALID, 403,
        ("ontvanger_type is not valid.",)),
    Row("message: event of CIZ by a zorgkantoor", ZK, N_ZK,
        {"ontvangerIDType": "UZOVI", "ontvangerID": "9901", "eventType": "NIEUWE_INDICATIE_ZORGKANTOOR"}, INVALID, 403,
        ("ontvanger_type is not valid.",)),
    Row("message: sender is a provider", ZA, N_ZA, {}, INVALID, PASSES, ("afzender_type is not valid.",)),
    Row("message: malformed recordID", ZK, N_ZA, {"recordID": "Regiehouder/1"}, PASSES, 403, ("recordID is not valid.",)),
    Row("message: unknown rule code", ZK, M_ZK, {"subject": "XYZ0001"}, PASSES, 403, ("subject is not valid.",)),
    Row("message: autorisatieregel as subject", ZK, M_ZK, {"subject": "IRA0003"}, PASSES, 403, ("subject is not valid.",)),
]  # fmt: skip


def message(row: Row, identity: dict[str, str]) -> tuple[str, dict[str, Any]]:
    """Return the mutation of a row, by a sender whose id is that of its token."""
    melding = row.scope == M_ZK
    changes = dict(row.query) if isinstance(row.query, dict) else {}
    subject = {"subject": "GGR0001" if melding else f"Bemiddeling/{ID}", "recordID": f"Regiehouder/{ID}"}
    subject |= {name: changes.pop(name) for name in ("subject", "recordID") if name in changes}
    about = ("UZOVI", "9901", "IWLZFOUTMELDING") if melding else ("AGB", "06990102", "NIEUWE_REGIEHOUDER_ZORGAANBIEDER")
    sent = {
        "timestamp": "2026-05-01T09:00:00Z", SENT: "UZOVI" if row.by == ZK else "AGB", "afzenderID": identity[row.by],
        "ontvangerIDType": about[0], "ontvangerID": about[1], "eventType": about[2], "subjectList": [subject],
    } | changes  # fmt: skip
    kind = "melding" if melding else "notificatie"
    text = f"mutation M($i: {kind.title()}Input!) {{ zend{kind.title()}({kind}Input: $i) {{ {kind}ID }} }}"
    return text, {"i": sent}
