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
from proeftuin.reasons import CONTENT_TYPE, INVALID_REQUEST, PROFILE, SIGNATURE_INVALID, Refused
from proeftuin.tokens.access_token import Person
from services.consent import store, subscriptions
from services.consent.api.closed_question import check_holder, misbehave
from services.consent.decisions import PERMIT, Question, decide
from services.consent.mitz import xcpd
from services.consent.mitz.catalogue import KIND_OF_TYPE, UZI
from services.consent.mitz.soap import read, write
from services.consent.mitz.xacml import PERSON_SYSTEMS
from services.consent.model import read_consent

PATH = "/mitz/openautorisatievraag"
_DS = "http://www.w3.org/2000/09/xmldsig#"


def router(index_key: bytes, seed: Seed) -> APIRouter:
    """Return the route of the open question."""
    routes = guarded(soap)

    @routes.post(PATH)
    @require(event=SEARCH, max_body=1 << 17)
    async def open_question(admission: Admitted) -> Response:
        """Name each subscribed holder that the user may ask, with the data categories; none where nothing is known or permitted."""
        headers = admission.request.headers
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/soap+xml":
            raise Refused(CONTENT_TYPE, "OQ-08 (§6.2): the body is application/soap+xml")
        if not headers.get("x-request-id"):
            raise Refused(INVALID_REQUEST, "OQ-09 (handleiding §6): there is no header X-Request-Id")
        envelope = read(await admission.body())
        await misbehave(admission, {"fault", "delay", "throttle"})
        if envelope.action != xcpd.ACTION:
            raise Refused(PROFILE, f"OQ-10 (§6.4): wsa:Action is {xcpd.ACTION}")
        patient = xcpd.patient_of(envelope.body)
        stated = xcpd.asserted(_signed(admission, xcpd.assertion_of(envelope.security)), admission.tenant.clock.now())
        admission.record.patients, admission.record.purpose = [patient], stated.purpose
        responsible = Person(stated.person, PERSON_SYSTEMS[UZI], stated.role, stated.user)
        admission.record.person = responsible
        if stated.mandated is not None:
            admission.record.person = Person(stated.mandated, PERSON_SYSTEMS[UZI], stated.role, stated.user)
            admission.record.responsible = responsible
        admission.record.query = b"openautorisatievraag"
        check_holder(admission, seed, stated.user)
        locations = await _locations(admission, index_key, patient, stated)
        body = write(xcpd.ANSWER, envelope.message_id, xcpd.response(patient, locations))
        return Response(body, headers={"Cache-Control": "no-store"}, media_type=SOAP_XML)

    return routes


async def _locations(admission: Admission, index_key: bytes, patient: str, stated: xcpd.Asserted) -> list[xcpd.Location]:
    token = store.patient_token(index_key, patient)
    database, now = admission.tenant.database, instant(admission.tenant.clock.now())
    found = await database.read(subscriptions.of_client, token)
    consents = [read_consent(resource, patient) for resource in await database.read(store.of_patient, token)]
    locations = []
    for each in found:
        kind, user_kind = KIND_OF_TYPE[each.holder_type], KIND_OF_TYPE[stated.user_type]
        question = Question(each.holder, kind, stated.user, user_kind, stated.purpose)
        categories = [category for category in NAMES if decide(question, category, consents, now).outcome == PERMIT]
        if categories:
            locations.append(xcpd.Location(each.gateway, each.source, each.holder, categories))
    return locations


def _signed(admission: Admission, assertion: etree._Element) -> etree._Element:
    """Return the assertion: what its signature covers, by the certificate of the connection; unsigned as the connection vouches.

    Raises Refused(SIGNATURE_INVALID).
    """
    if assertion.find(f"{{{_DS}}}Signature") is None:
        return assertion
    embedded = assertion.findtext(f".//{{{_DS}}}X509Certificate") or ""
    try:
        der = base64.b64decode("".join(embedded.split()), validate=True)
        thumbprint = base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()
        if thumbprint != admission.peer.thumbprint:
            raise Refused(SIGNATURE_INVALID, "the assertion is signed with another certificate than the connection's")
        pem = "-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der).decode() + "-----END CERTIFICATE-----\n"
        config = SignatureConfiguration(require_x509=True, expect_references=1)
        verified = XMLVerifier().verify(etree.tostring(assertion), x509_cert=pem, expect_config=config, id_attribute="ID")
    except (InvalidSignature, ValueError, KeyError, etree.LxmlError) as error:
        raise Refused(SIGNATURE_INVALID, "the signature of the assertion does not verify") from error
    results = verified if isinstance(verified, list) else [verified]
    if len(results) != 1 or results[0].signed_xml is None or results[0].signed_xml.tag != assertion.tag:
        raise Refused(SIGNATURE_INVALID, "the signature does not cover the assertion")
    return results[0].signed_xml
