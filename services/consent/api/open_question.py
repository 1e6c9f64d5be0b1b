"""The open question of Mitz: which holders may this user ask about this client? (VZVZ's wiki: Mitz, open vraag)"""

import base64
import hashlib

from fastapi import APIRouter
from lxml import etree
from signxml.exceptions import InvalidSignature
from signxml.verifier import SignatureConfiguration, XMLVerifier
from starlette.responses import Response

from proeftuin.access.admission import Admission, Admitted
from proeftuin.access.rendering import SOAP_XML, soap
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import SEARCH
from proeftuin.categories import NAMES
from proeftuin.clock import instant
from proeftuin.parties import Seed
from proeftuin.tokens.access_token import Person
from services.consent import store, subscriptions
from services.consent.api.closed_question import check_holder, misbehave
from services.consent.decisions import PERMIT, Question, decide
from services.consent.mitz import open_rules, xcpd
from services.consent.mitz.catalogue import KIND_OF_TYPE, UZI
from services.consent.mitz.open_rules import OpenQuestion
from services.consent.mitz.soap import read, write
from services.consent.mitz.xacml import PERSON_SYSTEMS
from services.consent.model import stored_consent

PATH = "/mitz/openautorisatievraag"
_DS = "http://www.w3.org/2000/09/xmldsig#"


def router(index_key: bytes, seed: Seed) -> APIRouter:
    """Return the route of the open question."""
    routes = guarded(soap)

    @routes.post(PATH)
    @require(event=SEARCH, max_body=1 << 17)
    async def open_question(admission: Admitted) -> Response:
        """Name each subscribed holder that the user may ask, with the data categories; none where nothing is known or permitted."""
        open_rules.SENT.demand(admission.request.headers)
        message = read_message(admission, await admission.body())
        await misbehave(admission, {"fault", "delay", "throttle"})
        open_rules.RULES.demand(message)
        patient = str(xcpd.patient_of(message.envelope.body))
        stated = xcpd.Asserted(**message.stated)  # type: ignore[arg-type] # the rules saw to what may be absent
        admission.record.patients, admission.record.purpose = [patient], stated.purpose
        responsible = Person(stated.person, PERSON_SYSTEMS[UZI], stated.role, stated.user)
        admission.record.person = responsible
        if stated.mandated is not None:
            admission.record.person = Person(stated.mandated, PERSON_SYSTEMS[UZI], stated.role, stated.user)
            admission.record.responsible = responsible
        admission.record.query = b"openautorisatievraag"
        check_holder(admission, seed, stated.user)
        locations = await _locations(admission, index_key, patient, stated)
        body = write(xcpd.ANSWER, message.envelope.message_id, xcpd.response(patient, locations))
        return Response(body, headers={"Cache-Control": "no-store"}, media_type=SOAP_XML)

    return routes


async def _locations(admission: Admission, index_key: bytes, patient: str, stated: xcpd.Asserted) -> list[xcpd.Location]:
    token = store.patient_token(index_key, patient)
    database, now = admission.tenant.database, instant(admission.tenant.clock.now())
    found = await database.read(subscriptions.of_client, token)
    consents = [stored_consent(text, patient) for text in await database.read(store.current, token)]
    locations = []
    for each in found:
        kind, user_kind = KIND_OF_TYPE[each.holder_type], KIND_OF_TYPE[stated.user_type]
        question = Question(each.holder, kind, stated.user, user_kind, stated.purpose)
        categories = [category for category in NAMES if decide(question, category, consents, now).outcome == PERMIT]
        if categories:
            locations.append(xcpd.Location(each.gateway, each.source, each.holder, categories))
    return locations


def read_message(admission: Admission, raw: bytes) -> OpenQuestion:
    """Return the open question in `raw`, its assertion as far as its signature covers it; raises Refused where it is no SOAP."""
    envelope = read(raw)
    assertion, signature = xcpd.assertion_of(envelope.security), None
    if assertion is not None and assertion.find(f"{{{_DS}}}Signature") is not None:
        try:
            assertion, signature = _verified(assertion, admission.peer.thumbprint), ""
        except (InvalidSignature, ValueError, KeyError, etree.LxmlError) as error:
            signature = str(error) if isinstance(error, _SignatureError) else "the signature of the assertion does not verify"
    return OpenQuestion(envelope, assertion, signature, instant(admission.tenant.clock.now()))


class _SignatureError(ValueError):
    """The message says what is wrong with a signature, in words of ours."""


def _verified(assertion: etree._Element, thumbprint: str) -> etree._Element:
    """Return what the signature of an assertion covers, by the certificate of the connection; raises what may go wrong."""
    embedded = assertion.findtext(f".//{{{_DS}}}X509Certificate") or ""
    der = base64.b64decode("".join(embedded.split()), validate=True)
    if base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode() != thumbprint:
        raise _SignatureError("the assertion is signed with another certificate than the connection's")
    pem = "-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der).decode() + "-----END CERTIFICATE-----\n"
    config = SignatureConfiguration(require_x509=True, expect_references=1)
    verified = XMLVerifier().verify(etree.tostring(assertion), x509_cert=pem, expect_config=config, id_attribute="ID")
    results = verified if isinstance(verified, list) else [verified]
    if len(results) != 1 or results[0].signed_xml is None or results[0].signed_xml.tag != assertion.tag:
        raise _SignatureError("the signature does not cover the assertion")
    return results[0].signed_xml
