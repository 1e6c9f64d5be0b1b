"""Making a presentation: the credentials that meet a definition, or of the types asked, and no other."""

import uuid
from typing import Any

from proeftuin.access.admission import Admission
from proeftuin.credentials import credential, dezi, presentation, shapes
from proeftuin.credentials.credential import Credential
from proeftuin.credentials.exchange import definition, matching, submission
from proeftuin.identifiers import BSN_SYSTEM
from proeftuin.reasons import CREDENTIAL_MISSING, INVALID_REQUEST, Refused, Unmatched
from services.wallet.wallet import Wallet

_MEMBERS: dict[str, type] = {
    "audience": str, "nonce": str, "presentation_definition": dict, "types": list, "credentials": list, "id_token": str,
    "credential_selection": dict, "bound": dict,
}  # fmt: skip


async def present(admission: Admission, wallet: Wallet, asked: dict[str, Any]) -> dict[str, Any]:
    """Return `{"vp", "presentation_submission", "explanation", "fields"}`; the last three only when a definition was asked for.

    `asked` has `audience` and `presentation_definition` or `types`; and may have `nonce`, `credentials` (self-attested, without
    issuer, subject id and proof), `id_token` (a statement on a professional, to be wrapped), `credential_selection` and `bound`
    (values of constraint fields). Raises Refused: INVALID_REQUEST, DEFINITION_INVALID, or CREDENTIAL_MISSING with the explanation.
    """
    _check(asked)
    offered: list[tuple[Credential, Any]] = [*await wallet.held()]
    documents = [_own(wallet, each) for each in asked.get("credentials", [])]
    if "id_token" in asked:
        documents.append(dezi.wrap(asked["id_token"], wallet.did))
    offered = [(credential.read(each, wallet.did), each) for each in documents] + offered
    if "types" in asked:
        chosen = _of_types(offered, asked["types"])
        answer: dict[str, Any] = {}
    else:
        chosen, answer = _by_definition(offered, asked)
    admission.record.details |= {"audience": asked["audience"][:200], "types": " ".join(each.type for each, _ in chosen)[:300]}
    admission.record.patients = _patients([each for each, _ in chosen])
    raw = [each for _, each in chosen]
    made = presentation.create(wallet.keys, wallet.did, raw, asked["audience"], wallet.tenant.clock, nonce=asked.get("nonce", ""))
    return {"vp": made} | answer


def _by_definition(
    offered: list[tuple[Credential, Any]], asked: dict[str, Any]
) -> tuple[list[tuple[Credential, Any]], dict[str, Any]]:
    wanted = definition.read(asked["presentation_definition"])
    found = matching.match(
        wanted, [each for each, _ in offered], bound=asked.get("bound"), selection=asked.get("credential_selection")
    )
    if found.faults:
        raise Unmatched(CREDENTIAL_MISSING, f"no matching credentials: {'; '.join(found.faults)[:200]}", found.explain())
    used = sorted(set(found.chosen.values()))
    chosen = [offered[number] for number in used]
    places = {descriptor: used.index(number) for descriptor, number in found.chosen.items()}
    made = submission.create(wanted, places, [each for each, _ in chosen])
    return chosen, {"presentation_submission": made, "explanation": found.explain(), "fields": found.fields}


def _of_types(offered: list[tuple[Credential, Any]], types: list[str]) -> list[tuple[Credential, Any]]:
    chosen = []
    for kind in dict.fromkeys(types):
        found = next((each for each in offered if each[0].type == kind), None)
        if found is None:
            raise Refused(CREDENTIAL_MISSING, f"this wallet holds no {kind[:60]}")
        chosen.append(found)
    return chosen


def _own(wallet: Wallet, given: dict[str, Any]) -> dict[str, Any]:
    """Complete a credential that the party attests itself, as the Nuts node does."""
    subject = given.get("credentialSubject")
    if "issuer" in given or "proof" in given or not isinstance(subject, dict) or "id" in subject:
        raise Refused(INVALID_REQUEST, "credentials must not contain issuer, credentialSubject.id or proof")
    kind = given.get("type")
    kind = next((each for each in kind if each != credential.BASE_TYPE), "") if isinstance(kind, list) else kind
    if kind not in shapes.SELF_ATTESTED:
        raise Refused(INVALID_REQUEST, f"a party attests itself: {', '.join(sorted(shapes.SELF_ATTESTED))}")
    now = wallet.tenant.clock.now()
    contexts = shapes.SHAPES[kind]["contexts"]
    document = credential.new_document(wallet.did, {"id": wallet.did} | subject, kind, contexts, (now, None))
    document["id"] = f"{wallet.did}#{uuid.uuid4()}"
    shapes.check(credential.read(document, wallet.did))
    return document


def _patients(chosen: list[Credential]) -> list[str]:
    """Return the BSN that an enrollment names: the event is then about that client."""
    stated = [str(each.claims.get("patientId", "")) for each in chosen if each.type == "PatientEnrollmentCredential"]
    return [each.removeprefix(f"{BSN_SYSTEM}|") for each in stated]


def _check(asked: dict[str, Any]) -> None:
    wrong = [name for name, value in asked.items() if not isinstance(value, _MEMBERS.get(name, ()))]
    if wrong or not asked.get("audience") or ("types" in asked) == ("presentation_definition" in asked):
        raise Refused(INVALID_REQUEST, f"send audience, and presentation_definition or types {' '.join(wrong)[:80]}".strip())
    for name, kind in (("types", str), ("credentials", dict)):
        if not all(isinstance(each, kind) for each in asked.get(name, [])):
            raise Refused(INVALID_REQUEST, f"{name} is a list of {'names' if kind is str else 'objects'}")
