"""The exchange refused: each way with its own reason, and the ground put back as it was."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from proeftuin.audit.calling import About
from proeftuin.identifiers import URA_SYSTEM
from proeftuin.sandbox.care_system import CareSystem, Stopped, token_form
from proeftuin.sandbox.exchange import ALL_SCOPES, Exchange
from proeftuin.sandbox.seeding import client_token, consent_resource
from proeftuin.transport.tracing import CURRENT, Trace


@dataclass(frozen=True, slots=True)
class Stage:
    """What the refusals play on: the finished exchange, other systems, and a hand on the CA.

    `system` makes a care system for a party with a certificate of that name; `revoke` puts a certificate on the list.
    """

    exchange: Exchange
    thief: CareSystem
    portal: CareSystem
    another: Callable[[str], Awaitable[tuple[CareSystem, Callable[[], Awaitable[None]]]]]


Refusal = Callable[[Stage], Awaitable[None]]


async def no_consent(stage: Stage) -> None:
    """The client has consented to nothing."""
    client = stage.exchange.parts.unconsenting_client
    await stage.exchange.ask(ALL_SCOPES, client, expected="no_consent")


async def consent_withdrawn(stage: Stage) -> None:
    """The client withdraws: the live token stops working, and a new one is not given; then the consent is given back."""
    exchange, parts = stage.exchange, stage.exchange.parts
    token = await _token(exchange, "patient/Condition.rs")
    await exchange.read("Condition", token)
    portal = stage.portal
    grant = await client_token(portal, parts.client, "consent", "patient/Consent.cruds")
    base = f"{portal.services['consent']}/fhir/Consent"
    known = await portal.get("read the consents", "consent", "GET", base, token=grant)
    active = [entry["resource"] for entry in known["entry"] if entry["resource"]["status"] == "active"]
    mine = [consent for consent in active if _is_of_holder(consent, parts.holder.ura or "")]
    for consent in mine:
        withdrawn = consent | {"status": "inactive"}
        await portal.get(
            "withdraw the consent", "consent", "PUT", f"{base}/{consent['id']}", content=withdrawn, token=grant,
            content_type="application/fhir+json", headers={"If-Match": f'W/"{consent["meta"]["versionId"]}"'},
        )  # fmt: skip
    try:
        await exchange.read("Condition", token, expected="consent_withdrawn")
        await exchange.ask("patient/Condition.rs", parts.client, expected="consent_withdrawn")
    finally:
        for wanted in parts.seed.consents:
            if wanted.client == parts.client and wanted.holder == parts.holder.id:
                await portal.get(
                    "give the consent again", "consent", "POST", base, content=consent_resource(parts.seed, wanted),
                    token=grant, content_type="application/fhir+json",
                )  # fmt: skip


async def wrong_role(stage: Stage) -> None:
    """A physiotherapist asks for the medication."""
    exchange = stage.exchange
    statement = await exchange.system.log_in("identity-professionals", professional=exchange.parts.physiotherapist)
    await exchange.ask("patient/MedicationRequest.rs", exchange.parts.client, statement=statement, expected="role_not_allowed")


async def another_client(stage: Stage) -> None:
    """The token is for one client, the question about another."""
    exchange = stage.exchange
    token = await _token(exchange, "patient/Patient.rs")
    other = exchange.parts.other_client
    await exchange.read("Patient", token, patient=other, expected="subject_mismatch")


async def wider_scope(stage: Stage) -> None:
    """The token is for the person's name, the question about the medication."""
    exchange = stage.exchange
    token = await _token(exchange, "patient/Patient.rs")
    await exchange.read("MedicationRequest", token, expected="insufficient_scope")


async def expired_token(stage: Stage) -> None:
    """The token lived for one second."""
    exchange = stage.exchange
    token = await exchange.ask("patient/Condition.rs", exchange.parts.client, lifetime=1)
    if token is None:
        raise Stopped("no token to let expire")
    await asyncio.sleep(2.1)
    await exchange.read("Condition", token, expected="token_expired")


async def stolen_token(stage: Stage) -> None:
    """Another hospital uses the token with its own, valid certificate."""
    exchange = stage.exchange
    token = await _token(exchange, "patient/Condition.rs")
    await exchange.read("Condition", token, expected="token_binding", system=stage.thief)


async def revoked_certificate(stage: Stage) -> None:
    """The certificate is revoked: the open connection is refused by the service, a new one by TLS."""
    exchange = stage.exchange
    system, revoke = await stage.another("revocable")
    fresh, _ = await stage.another("revocable")
    form = token_form(system.party.client_id, exchange.resource, "patient/Condition.rs", patient=exchange.parts.client,
                      purpose="TREAT", id_token=exchange.statement)  # fmt: skip
    url = f"{exchange.addresses['oauth2']}/token"
    holder = exchange.parts.holder.id
    try:
        await system.get("ask a token, before", holder, "POST", url, form=form)
        await revoke()
        reason = "certificate_revoked"
        await system.call("the kept connection", holder, "POST", url, form=form, expected=reason)
        await fresh.call("a new connection", holder, "POST", url, form=form, expected=reason)
    finally:
        await system.close()
        await fresh.close()


async def revoked_token(stage: Stage) -> None:
    """The token is revoked by its owner (RFC 7009)."""
    exchange = stage.exchange
    token = await _token(exchange, "patient/Condition.rs")
    url = f"{exchange.addresses['oauth2']}/revoke"
    await exchange.system.get("revoke the token", exchange.parts.holder.id, "POST", url, form={"token": token})
    await exchange.read("Condition", token, expected="token_revoked")


async def foreign_token(stage: Stage) -> None:
    """The token of one party is used at another party on the same instance."""
    exchange = stage.exchange
    token = await _token(exchange, "patient/Condition.rs")
    other = await exchange.system.look_up(exchange.parts.other_holder.ura or "")
    url = f"{other['hl7-fhir-rest']}/Condition/_search"
    await exchange.system.call(
        "read Condition", exchange.parts.other_holder.id, "POST", url, form={}, token=token, expected="token_issuer"
    )


async def replayed_pseudonym(stage: Stage) -> None:
    """An evaluated pseudonym serves once."""
    exchange = stage.exchange
    system, parts = exchange.system, exchange.parts
    subject = await system.pseudonym(parts.client, parts.recipient)
    token = await system.national_token("localization", "nvi:localize")
    url = f"{system.services['localization']}/fhir/List/_search"
    form = {"subject:identifier": f"http://minvws.github.io/generiekefuncties-docs/NamingSystem/nvi-identifier|{subject}",
            "code": "Condition"}  # fmt: skip
    about = About((parts.client,), details={"category": "Condition"})
    await system.call("localize, first", "localization", "POST", url, form=form, token=token, about=about)
    again = "localize, again"
    await system.call(again, "localization", "POST", url, form=form, token=token, about=about, expected="pseudonym_replayed")


ALL: tuple[Refusal, ...] = (
    no_consent, consent_withdrawn, wrong_role, another_client, wider_scope, expired_token, stolen_token, revoked_certificate,
    revoked_token, foreign_token, replayed_pseudonym,
)  # fmt: skip


async def run(stage: Stage, refusals: tuple[Refusal, ...] = ALL) -> None:
    """Play the refusals one after the other, each under a trace of its own."""
    for refusal in refusals:
        before = CURRENT.set(Trace.new())
        stage.exchange.system.hops.scenario = refusal.__name__.replace("_", " ")
        try:
            await refusal(stage)
        finally:
            CURRENT.reset(before)


async def _token(exchange: Exchange, scope: str) -> str:
    token = await exchange.ask(scope, exchange.parts.client)
    if token is None:
        raise Stopped(f"no token for {scope}")
    return token


def _is_of_holder(consent: dict[str, Any], ura: str) -> bool:
    actors = consent.get("provision", {}).get("actor", [])
    return any(actor["reference"].get("identifier") == {"system": URA_SYSTEM, "value": ura} for actor in actors)
