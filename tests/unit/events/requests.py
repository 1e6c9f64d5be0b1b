"""Realistic requests that are allowed, at least one for each route, with the hops that each must leave."""

import json
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from proeftuin import pseudonym
from proeftuin.identifiers import BSN_SYSTEM
from proeftuin.sandbox import directory, seeding
from proeftuin.sandbox.care_system import CATEGORIES, CUSTODIAN, LIST_SUBJECT, CareSystem, _b64url
from proeftuin.sandbox.nursing_records import generate
from services.consent.mitz import notification
from services.consent.subscriptions import Subscription
from tests.unit.events import grants, iwlz, wallet
from tests.unit.events.expected import DECISION, INTROSPECT, ROUTES, UPDATE
from tests.unit.events.hops import Hop, Patients
from tests.unit.events.network import HOLDER, Network
from tests.unit.events.offers import Offers
from tests.unit.services.consent import messages
from tests.unit.services.logging.logbook import event

HOSPITAL, PORTAL, REGISTER, OFFICE, INDEX = "ziekenhuis-de-linde", "mijn-dossier", "cibg", "zorgkantoor-lindestreek", "verwijsindex"
CLIENT, OTHER = "999910000", "999918138"
FHIR = "application/fhir+json"
SCOPES = "patient/CarePlan.rs patient/Condition.rs patient/MedicationRequest.rs patient/Patient.rs"


@dataclass
class Request:
    """A request by `party`: what is sent, and the hops that it leaves: the one to the route first, then what that needs."""

    party: str
    method: str
    url: str
    hops: list[Hop]
    sent: dict[str, Any] = field(default_factory=dict)
    about: Patients = ()


Make = Callable[[], Awaitable[Request]]


class Requests:
    """The requests of a filled network, by service, method and path of the route. `made` has how to make each: some serve once."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.addresses = network.home.topology.network
        self.made: dict[tuple[str, str, str], list[Make]] = {}
        self.refused: dict[str, list[Make]] = {}  # by service: whoever is admitted, and refused all the same
        self.systems: dict[str, CareSystem] = {}

    async def begin(self) -> None:
        """Log everybody in, get the tokens, and say how each request is made."""
        for party in (HOSPITAL, HOLDER, PORTAL, REGISTER, OFFICE, INDEX):
            self.systems[party] = self.network.care_system(party)
            await self.systems[party].discover()
        hospital, portal = self.systems[HOSPITAL], self.systems[PORTAL]
        topology = self.network.home.topology
        self.issuer, self.station = topology.issuer(HOLDER), topology.datastation(HOLDER)
        nurse = next(each for each in self.network.home.seed.professionals if each.employer == HOSPITAL and each.role == "30.000")
        self.nurse = nurse.uzi
        self.statement = await hospital.log_in("identity-professionals", professional=nurse.uzi)
        self.tokens = {
            "care": await self._care_token(),
            "kik-v": await self.systems[OFFICE].token(self.issuer, self.station, "system/kik-v.s") or "",
            "consent": await seeding.client_token(portal, CLIENT, "consent", "patient/Consent.cruds"),
            "own log": await seeding.client_token(portal, CLIENT, "logging", "patient/AuditEvent.rs"),
            "log": await hospital.national_token("logging", "system/AuditEvent.c system/AuditEvent.rs"),
            "audit": await hospital.national_token("logging", "log:audit"),
            "decide": await self.systems[HOLDER].national_token("consent", "consent:decide"),
            "prs": await hospital.national_token("pseudonymisation", "prs:read"),
            "prs of index": await self.systems[INDEX].national_token("pseudonymisation", "prs:register"),
            "nvi": await hospital.national_token("localization", "nvi:localize nvi:read nvi:create nvi:delete"),
            "directory": await self.systems[REGISTER].national_token(
                "addressing", "system/Endpoint.crus system/Organization.crus"
            ),
        }  # fmt: skip
        self._addressing()
        self._localization()
        self._pseudonymisation()
        self._consent()
        self._logging()
        self._witness()
        self._authorization()
        await grants.add(self, HOSPITAL, PORTAL, HOLDER, CLIENT)
        await iwlz.add(self)
        wallet.add(self, HOSPITAL, HOLDER)
        Offers(self, HOSPITAL, HOLDER).add()
        self._datastation()
        for service in ROUTES:
            base, server = self._of(service)
            for path in ("/health", "/metrics", "/openapi.json"):
                if ("GET", path) in ROUTES[service]:
                    self._add(service, "GET", path, HOSPITAL, server, base + path)

    async def end(self) -> None:
        """Close the systems."""
        for system in self.systems.values():
            await system.close()

    def _of(self, service: str) -> tuple[str, str]:
        instance = self.network.instance(service, HOLDER if service == "datastation" else None)
        return instance.base_url, instance.operator

    def request(
        self, party: str, method: str, url: str, hops: list[Hop], sent: dict[str, Any], about: Patients = ()
    ) -> Request:  # fmt: skip
        """Make one by hand."""
        return Request(party, method, url, hops, sent, about)

    def _add(
        self, service: str, method: str, path: str, party: str, server: str, url: str, about: Patients = (),
        served: Patients | None = None, nested: tuple[Hop, ...] = (), **sent: Any,
    ) -> None:  # fmt: skip
        kind = ROUTES[service][method, path]

        async def make() -> Request:
            return Request(party, method, url, [Hop(kind, party, server, about, served), *nested], sent, about)

        self.made.setdefault((service, method, path), []).append(make)

    def _add_made(self, service: str, method: str, path: str, make: Make) -> None:
        self.made.setdefault((service, method, path), []).append(make)

    # --- of each service

    def _addressing(self) -> None:
        base, server = self._of("addressing")
        feed = directory.transaction(self.network.home.topology)["entry"]
        self._add("addressing", "GET", "/fhir/metadata", HOSPITAL, server, f"{base}/fhir/metadata")
        for name in ("Organization", "Endpoint"):
            root, url = f"/fhir/{name}", f"{base}/fhir/{name}"
            resource = next(each["resource"] for each in feed if each["resource"]["resourceType"] == name)
            own = f"{url}/{resource['id']}"
            self._add("addressing", "GET", root, HOSPITAL, server, url)
            self._add("addressing", "GET", root, PORTAL, server, f"{url}?_count=1")
            self._add("addressing", "POST", f"{root}/_search", HOSPITAL, server, f"{url}/_search", form={"_count": "2"})
            self._add("addressing", "GET", f"{root}/_history", HOSPITAL, server, f"{url}/_history?_count=2")
            self._add("addressing", "GET", f"{root}/{{resource_id}}", HOSPITAL, server, own)
            self._add("addressing", "GET", f"{root}/{{resource_id}}/_history/{{version}}", HOSPITAL, server, f"{own}/_history/1")
            self._add("addressing", "PUT", f"{root}/{{resource_id}}", REGISTER, server, own, content=resource, content_type=FHIR,
                      token=self.tokens["directory"])  # fmt: skip
        for size in (0, 1, 3, len(feed)):
            self._add_made("addressing", "POST", "/fhir", lambda size=size: self.feed(feed[:size]))  # type: ignore[misc] # its default binds

    async def feed(self, entries: list[dict[str, Any]], reason: str | None = None) -> Request:
        """A transaction by the register."""
        base, server = self._of("addressing")
        bundle = {"resourceType": "Bundle", "type": "transaction"} | ({"entry": entries} if entries else {})
        parts = () if reason else tuple((UPDATE, (), ()) for _ in entries)
        hop = Hop(ROUTES["addressing"]["POST", "/fhir"], REGISTER, server, reason=reason, entries=parts)
        sent = {"content": bundle, "content_type": FHIR, "token": self.tokens["directory"]}
        return Request(REGISTER, "POST", f"{base}/fhir", [hop], sent)

    async def list_of(self, bsn: str, category: str) -> dict[str, Any]:
        """A registration by the hospital, with a pseudonym that serves once."""
        system = self.systems[HOSPITAL]
        token = await system.pseudonym(bsn, self.network.home.seed.party(INDEX).client_id)
        await self.network.events()
        ura = {"system": "http://fhir.nl/fhir/NamingSystem/ura", "value": system.party.ura}
        source = {"system": "http://minvws.github.io/generiekefuncties-docs/NamingSystem/oauth-client-id",
                  "value": system.party.client_id}  # fmt: skip
        return {
            "resourceType": "List", "status": "current", "mode": "working",
            "code": {"coding": [{"system": CATEGORIES, "code": category}]},
            "subject": {"identifier": {"system": LIST_SUBJECT, "value": token, "use": "temp"}},
            "extension": [{"url": CUSTODIAN, "valueReference": {"identifier": ura}}], "source": {"identifier": source},
            "emptyReason": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/list-empty-reason", "code": "withheld"}]},
        }  # fmt: skip

    async def registered(self, bsn: str, category: str) -> str:
        """The id of a registration by the hospital that is there now, and is no test's business."""
        base, _ = self._of("localization")
        answer = await self.systems[HOSPITAL].client.request(
            "POST", f"{base}/fhir/List", content=await self.list_of(bsn, category), content_type=FHIR, token=self.tokens["nvi"]
        )
        assert answer.status == 201, answer.body
        await self.network.events()
        return str(answer.json()["id"])

    async def unregister(self) -> None:
        """Take every registration of the hospital away."""
        base, _ = self._of("localization")
        client = self.systems[HOSPITAL].client
        query = f"source:identifier={self.systems[HOSPITAL].party.client_id}"
        found = await client.request("GET", f"{base}/fhir/List?{query}", token=self.tokens["nvi"])
        for entry in found.json().get("entry", []):
            await client.request("DELETE", f"{base}/fhir/List/{entry['resource']['id']}", token=self.tokens["nvi"])
        await self.network.events()

    def _localization(self) -> None:
        base, server = self._of("localization")
        url, token = f"{base}/fhir/List", self.tokens["nvi"]

        def hop(method: str, path: str, about: Patients = (CLIENT,)) -> list[Hop]:
            return [Hop(ROUTES["localization"][method, path], HOSPITAL, server, about, ())]

        async def create() -> Request:
            sent = {"content": await self.list_of(CLIENT, "Condition"), "content_type": FHIR, "token": token}
            return Request(HOSPITAL, "POST", url, hop("POST", "/fhir/List"), sent, (CLIENT,))

        async def localize() -> Request:
            subject = (await self.list_of(CLIENT, "Condition"))["subject"]["identifier"]["value"]
            sent = {"form": {"subject:identifier": f"{LIST_SUBJECT}|{subject}", "code": "Condition"}, "token": token}
            return Request(HOSPITAL, "POST", f"{url}/_search", hop("POST", "/fhir/List/_search"), sent, (CLIENT,))

        async def read() -> Request:
            there = f"{url}/{await self.registered(OTHER, 'Patient')}"
            return Request(HOSPITAL, "GET", there, hop("GET", "/fhir/List/{list_id}", ()), {"token": token})

        async def delete() -> Request:
            await self.unregister()
            there = f"{url}/{await self.registered(OTHER, 'Condition')}"
            return Request(HOSPITAL, "DELETE", there, hop("DELETE", "/fhir/List/{list_id}", ()), {"token": token})

        own = f"{url}?source:identifier={self.systems[HOSPITAL].party.client_id}"
        self._add("localization", "GET", "/fhir/List", HOSPITAL, server, own, token=token)
        self._add_made("localization", "POST", "/fhir/List", create)
        self._add_made("localization", "POST", "/fhir/List/_search", localize)
        self._add_made("localization", "GET", "/fhir/List/{list_id}", read)
        self._add_made("localization", "DELETE", "/fhir/List/{list_id}", delete)

        async def both() -> Request:
            await self.unregister()
            return await self.lists(["Condition", "Patient"], [await self.registered(CLIENT, "Episode")])

        self._add_made("localization", "POST", "/fhir", both)

    async def lists(self, creates: list[str], deletes: list[str], reason: str | None = None) -> Request:
        """A transaction by the hospital: registrations of CLIENT in these categories, and the removal of others by id."""
        base, server = self._of("localization")
        entries: list[dict[str, Any]] = [
            {"resource": await self.list_of(CLIENT, category), "request": {"method": "POST", "url": "List"}} for category in creates
        ]
        entries += [{"request": {"method": "DELETE", "url": f"List/{each}"}} for each in deletes]
        parts = () if reason else (("rest create C", (), ()),) * len(creates) + (("rest delete D", (), ()),) * len(deletes)
        hop = Hop(ROUTES["localization"]["POST", "/fhir"], HOSPITAL, server, reason=reason, entries=parts)
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        sent = {"content": bundle, "content_type": FHIR, "token": self.tokens["nvi"]}
        return Request(HOSPITAL, "POST", f"{base}/fhir", [hop], sent)

    def _pseudonymisation(self) -> None:
        base, server = self._of("pseudonymisation")
        recipient = self.network.home.seed.party(INDEX).client_id
        blinded = pseudonym.blind(pseudonym.derive(CLIENT, recipient, "nationale-verwijsindex"))
        value, scope = _b64url(blinded.blinded_input), "nationale-verwijsindex"
        for path, names in (("/evaluate", ("blinded_input", "recipient_organization", "recipient_scope")),
                            ("/oprf/eval", ("encryptedPersonalId", "recipientOrganization", "recipientScope"))):  # fmt: skip
            content = dict(zip(names, (value, recipient, scope), strict=True))
            self._add("pseudonymisation", "POST", path, HOSPITAL, server, base + path, (CLIENT,), (), content=content,
                      token=self.tokens["prs"])  # fmt: skip
        (service,) = [each for each in self.network.services.values() if each.settings.service == "localization"]
        key = service.operator.secrets / "evaluations.pem"
        from joserfc.jwk import RSAKey  # noqa: PLC0415 - only this route takes a key

        jwk = RSAKey.import_key(key.read_bytes()).as_dict(private=False)
        self._add("pseudonymisation", "PUT", "/recipients/{scope}", INDEX, server, f"{base}/recipients/{scope}", content=jwk,
                  token=self.tokens["prs of index"])  # fmt: skip

    def _consent(self) -> None:
        base, server = self._of("consent")
        url, token, seed = f"{base}/fhir/Consent", self.tokens["consent"], self.network.home.seed
        wanted = next(each for each in seed.consents if each.client == CLIENT)
        mine = (CLIENT,)
        self._add("consent", "POST", "/fhir/Consent", PORTAL, server, url, mine, content=seeding.consent_resource(seed, wanted),
                  content_type=FHIR, token=token)  # fmt: skip
        self._add("consent", "GET", "/fhir/Consent", PORTAL, server, url, mine, token=token)

        async def known() -> dict[str, Any]:
            bundle = (await self.systems[PORTAL].client.request("GET", url, token=token)).json()
            await self.network.events()
            resource: dict[str, Any] = bundle["entry"][0]["resource"]
            return resource

        async def read() -> Request:
            hop = Hop(ROUTES["consent"]["GET", "/fhir/Consent/{consent_id}"], PORTAL, server, mine)
            return Request(PORTAL, "GET", f"{url}/{(await known())['id']}", [hop], {"token": token}, mine)

        async def update() -> Request:
            resource = await known()
            hop = Hop(ROUTES["consent"]["PUT", "/fhir/Consent/{consent_id}"], PORTAL, server, mine)
            sent = {"content": resource, "content_type": FHIR, "token": token,
                    "headers": {"If-Match": f'W/"{resource["meta"]["versionId"]}"'}}  # fmt: skip
            return Request(PORTAL, "PUT", f"{url}/{resource['id']}", [hop], sent, mine)

        self._add_made("consent", "GET", "/fhir/Consent/{consent_id}", read)
        self._add_made("consent", "PUT", "/fhir/Consent/{consent_id}", update)
        self._add_made("consent", "POST", "/decisions", lambda: self.decision(CLIENT, ["Condition"], HOSPITAL))
        self._mitz(base, server, mine)

    def _mitz(self, base: str, server: str, mine: Patients) -> None:
        """The forms in which Mitz is spoken to."""
        rows: dict[tuple[str, str], str | None] = ROUTES["consent"]
        soap: dict[str, Any] = {"content_type": messages.HEADERS["Content-Type"]}
        closed, check = "/mitz/geslotenautorisatievraag/xacml3", "/mitz/check/geslotenautorisatievraag"

        async def closed_question() -> Request:
            hop = Hop(rows["POST", closed], HOLDER, server, mine, reason="consent_category")
            return Request(HOLDER, "POST", base + closed, [hop], {"body": messages.question()} | soap, mine)

        async def open_question() -> Request:
            path, body = "/mitz/openautorisatievraag", messages.open_question(messages.assertion(datetime.now(UTC)))
            return Request(
                HOSPITAL, "POST", base + path, [Hop(rows["POST", path], HOSPITAL, server, mine)], {"body": body} | soap, mine
            )

        async def end() -> Request:
            made = await self.systems[HOLDER].client.request(
                "POST", subscriptions, content=messages.subscription(), content_type=FHIR
            )
            await self.network.events()
            hop = Hop(rows["DELETE", f"{subscription}/{{subscription_id}}"], HOLDER, server)
            return Request(HOLDER, "DELETE", f"{base}/mitz/abonnementen/fhir/{made.headers['Location']}", [hop], {})

        self._add_made("consent", "POST", closed, closed_question)
        self._add_made("consent", "POST", "/mitz/openautorisatievraag", open_question)
        self._add("consent", "POST", "/mitz/check/{kind}", HOLDER, server, base + check, body=messages.question(), **soap)
        subscription = "/mitz/abonnementen/fhir/Subscription"
        subscriptions = base + subscription
        self._add(
            "consent", "POST", subscription, HOLDER, server, subscriptions, mine, content=messages.subscription(), content_type=FHIR
        )
        self._add_made("consent", "DELETE", f"{subscription}/{{subscription_id}}", end)
        status = f"{subscription}/$processingStatus"
        self._add("consent", "GET", status, HOLDER, server, f"{base}{status}?providerid=90000103")
        stored = Subscription("1", "x", "90000103", "X3", "1.2.3", "1.2.4", {})
        told = notification.bundle(stored, CLIENT, [], "2026-06-01T12:00:00.000Z")["entry"][0]["resource"]
        self._add("consent", "POST", "/fhir/Consent/$convert", HOLDER, server, f"{base}/fhir/Consent/$convert?to=pcf", content=told,
                  content_type=FHIR)  # fmt: skip
        self._add("consent", "GET", "/sandbox/levers", HOLDER, server, f"{base}/sandbox/levers")
        self._add("consent", "PUT", "/sandbox/levers/{name}", HOLDER, server, f"{base}/sandbox/levers/delay", content={"times": 0})

    async def decision(self, bsn: str, categories: list[str], user: str, reason: str | None = None) -> Request:
        """The closed question by the holder; `reason` of the no that it is expected to get."""
        base, server = self._of("consent")
        seed = self.network.home.seed
        holder, asker = seed.party(HOLDER), seed.party(user)
        content = {
            "patient": {"system": BSN_SYSTEM, "value": bsn}, "holder": {"ura": holder.ura, "kind": holder.kind},
            "user": {"ura": asker.ura, "kind": asker.kind, "role": "30.000", "person": self.nurse},
            "categories": categories, "purpose": "TREAT",
        }  # fmt: skip
        hop = Hop(ROUTES["consent"]["POST", "/decisions"], HOLDER, server, (bsn,), reason=reason)
        return Request(HOLDER, "POST", f"{base}/decisions", [hop], {"content": content, "token": self.tokens["decide"]}, (bsn,))

    def _logging(self) -> None:
        base, server = self._of("logging")
        token, form = self.tokens["log"], {"date": "ge2026-01-01"}

        async def one() -> Request:
            sent = {"content": event(HOSPITAL, CLIENT), "content_type": FHIR, "token": token}
            return Request(HOSPITAL, "POST", f"{base}/fhir/AuditEvent", [], sent)

        self._add_made("logging", "POST", "/fhir/AuditEvent", one)
        for bad in (0, 2):
            self._add_made("logging", "POST", "/fhir", lambda bad=bad: self.batch(3, bad))  # type: ignore[misc] # its default binds
        search = f"{base}/fhir/AuditEvent"
        self._add("logging", "GET", "/fhir/AuditEvent", HOSPITAL, server, f"{search}?date=ge2026-01-01", token=token)
        self._add("logging", "POST", "/fhir/AuditEvent/_search", HOSPITAL, server, f"{search}/_search", form=form, token=token)
        self._add("logging", "POST", "/fhir/AuditEvent/_search", HOSPITAL, server, f"{search}/_search", (CLIENT,), token=token,
                  form=form | {"patient.identifier": f"{BSN_SYSTEM}|{CLIENT}"})  # fmt: skip

        def reading(of: str) -> Make:
            async def read() -> Request:
                sent = await one()
                await self.systems[HOSPITAL].client.request("POST", sent.url, **sent.sent)
                url = f"{search}/{sent.sent['content']['id']}{of}"
                hop = Hop(ROUTES["logging"]["GET", f"/fhir/AuditEvent/{{event_id}}{of}"], HOSPITAL, server)
                return Request(HOSPITAL, "GET", url, [hop], {"token": token})

            return read

        for of in ("", "/$validate"):
            self._add_made("logging", "GET", f"/fhir/AuditEvent/{{event_id}}{of}", reading(of))
        self._add("logging", "POST", "/fhir/AuditEvent/$validate", HOSPITAL, server, f"{search}/$validate", token=token,
                  content=event(HOSPITAL, CLIENT), content_type=FHIR)  # fmt: skip
        self._add("logging", "POST", "/inzage/logging", PORTAL, server, f"{base}/inzage/logging", (CLIENT,), form={},
                  token=self.tokens["own log"])  # fmt: skip

        officer, audit = {"officer": "M. Prins"}, self.tokens["audit"]
        for about, more in ((), {}), ((CLIENT,), {"patient.identifier": f"{BSN_SYSTEM}|{CLIENT}"}):
            self._add("logging", "POST", "/audit/AuditEvent/_search", HOSPITAL, server, f"{base}/audit/AuditEvent/_search", about,
                      form=form | officer | more, token=audit)  # fmt: skip
        self._add("logging", "POST", "/audit/patterns", HOSPITAL, server, f"{base}/audit/patterns", form=officer, token=audit)
        self._add("logging", "POST", "/audit/watched", HOSPITAL, server, f"{base}/audit/watched", content={"staff": [CLIENT]},
                  token=audit)  # fmt: skip

        async def erase() -> Request:  # the erasure is written into the log itself, not into an outbox
            hop = Hop(ROUTES["logging"]["POST", "/retention/erase"], "logboek", server)
            return Request("logboek", "POST", f"{base}/retention/erase", [hop], {"content": {"before": "2021-01-01"}})

        self._add_made("logging", "POST", "/retention/erase", erase)

        async def archive() -> Request:  # as the erasure
            sent = await one()
            await self.systems[HOSPITAL].client.request("POST", sent.url, **sent.sent)
            hop = Hop(ROUTES["logging"]["POST", "/retention/archive"], "logboek", server)
            made = {"file": "log.archive", "sha256": "ab" * 32, "year": 2025, "first": 0, "last": 0, "size": 1}
            return Request("logboek", "POST", f"{base}/retention/archive", [hop], {"content": made})

        self._add_made("logging", "POST", "/retention/archive", archive)
        self._add("logging", "GET", "/ldv", HOSPITAL, server, f"{base}/ldv?date=ge2026-01-01", token=token)
        self._add("logging", "POST", "/ldv", HOSPITAL, server, f"{base}/ldv", form=form, token=token)
        paths = {
            "/checkpoint": "", "/checkpoint/witnessed": "", "/key": "", "/tile/{level}/{position:path}": "/tile/0/000.p/1",
            "/proof/inclusion": "/proof/inclusion?index=0&size=1", "/proof/consistency": "/proof/consistency?old=1&new=1",
        }  # fmt: skip
        for path, url in paths.items():
            self._add("logging", "GET", path, HOSPITAL, server, base + (url or path))

    async def batch(self, good: int, bad: int) -> Request:
        """Audit events by a batch, as an outbox brings them, some of which are none."""
        base, _ = self._of("logging")
        resources: list[dict[str, Any]] = [event(HOSPITAL, CLIENT) for _ in range(good)]
        resources += [{"resourceType": "AuditEvent", "id": str(uuid.uuid4())} for _ in range(bad)]
        entries = [{"resource": each, "request": {"method": "POST", "url": "AuditEvent"}} for each in resources]
        bundle = {"resourceType": "Bundle", "type": "batch", "entry": entries}
        sent = {"content": bundle, "content_type": FHIR, "token": self.tokens["log"]}
        return Request(HOSPITAL, "POST", f"{base}/fhir", [], sent)

    def _witness(self) -> None:
        base, server = self._of("witness")

        log, _ = self._of("logging")
        origin = f"{log.removeprefix('https://')}/log"
        seen = f"{base}/checkpoint?origin={origin}"

        async def show() -> Request:
            for system in self.systems.values():
                await system.drained()  # from here on the log does not grow
            client, note, shown = self.systems[HOSPITAL].client.peers, "its", "own"
            while note != shown:
                note = (await client.request("GET", f"{log}/checkpoint")).body.decode()
                shown = (await client.request("GET", seen)).body.decode()
            body = f"old {note.splitlines()[1]}\n\n{note}".encode()
            return Request("logboek", "POST", f"{base}/add-checkpoint", [], {"body": body, "content_type": "text/plain"})

        self._add_made("witness", "POST", "/add-checkpoint", show)
        self._add("witness", "GET", "/checkpoint", HOSPITAL, server, seen)
        self._add("witness", "GET", "/key", HOSPITAL, server, f"{base}/key")

    def _decisions(self, base: str) -> None:
        subject = {"type": "organization", "id": "1"}
        question = {"subject": subject, "action": {"name": "QUERY"}, "resource": {"type": "record", "id": "1"}}
        request = {"method": "GET", "path": "Organization", "query": "", "header": {}, "body": ""}
        fhir = {"input": {"subject": {"scope": "mcsd_query"}, "request": request, "context": {}}}
        for path, party, content in (
            ("/access/v1/evaluation", HOSPITAL, question),
            ("/access/v1/evaluations", HOSPITAL, {"evaluations": [question]}),
            ("/rfc0052/access/v1/evaluations", HOSPITAL, {"evaluations": [question]}),
            ("/v1/data/authz/result", HOSPITAL, {"input": {"parsed_body": {"query": "{ client { bsn } }"}}}),
            ("/explain", HOSPITAL, {"query": "{ client { bsn } }", "claims": {}}),
            ("/pdp", HOLDER, fhir),
            ("/pdp/v1/data/knooppunt/authz", HOLDER, fhir),
        ):
            self._add("authorization", "POST", path, party, HOLDER, base + path, content=content)
        path = "/.well-known/authzen-configuration"
        self._add("authorization", "GET", path, HOSPITAL, HOLDER, base + path)

    def _authorization(self) -> None:
        base = self.issuer.partition("/oauth2/")[0]
        self._add("authorization", "GET", "/.well-known/oauth-authorization-server/oauth2/{party}", HOSPITAL, HOLDER,
                  f"{base}/.well-known/oauth-authorization-server/oauth2/{HOLDER}")  # fmt: skip
        self._add("authorization", "GET", "/oauth2/{party}/jwks", HOSPITAL, HOLDER, f"{self.issuer}/jwks")
        for scopes in ("patient/Patient.rs", SCOPES):
            self._add_made("authorization", "POST", "/oauth2/{party}/token", lambda scopes=scopes: self.token(scopes))  # type: ignore[misc] # its default binds
        national = self.addresses.issuer
        form = {"grant_type": "client_credentials", "client_id": self.systems[HOSPITAL].party.client_id, "scope": "prs:read",
                "resource": self.addresses.pseudonymisation}  # fmt: skip
        self._add("authorization", "POST", "/oauth2/{party}/token", HOSPITAL, "vws", f"{national}/token", form=form)
        care = {"token": self.tokens["care"]}
        self._add("authorization", "POST", "/oauth2/{party}/introspect", HOLDER, HOLDER, f"{self.issuer}/introspect", (CLIENT,),
                  form=care)  # fmt: skip
        self._add("authorization", "POST", "/oauth2/{party}/introspect", HOLDER, HOLDER, f"{self.issuer}/introspect",
                  form={"token": "of nobody"})  # fmt: skip
        self._add("authorization", "POST", "/oauth2/{party}/revoke", HOSPITAL, HOLDER, f"{self.issuer}/revoke",
                  form={"token": "of nobody"})  # fmt: skip

        self._decisions(base)

        async def revoke() -> Request:
            token = await self._care_token()
            await self.network.events()
            hop = Hop(ROUTES["authorization"]["POST", "/oauth2/{party}/revoke"], HOSPITAL, HOLDER, (CLIENT,))
            return Request(HOSPITAL, "POST", f"{self.issuer}/revoke", [hop], {"form": {"token": token}}, (CLIENT,))

        self._add_made("authorization", "POST", "/oauth2/{party}/revoke", revoke)
        for party, provider, server, who in (
            (HOSPITAL, self.addresses.identity_professionals, "cibg", {"professional": self.nurse}),
            (PORTAL, self.addresses.identity_clients, "vws", {"client": CLIENT}),
        ):
            form = {"client_id": self.systems[party].party.client_id} | who
            self._add("authorization", "POST", "/oauth2/{party}/login", party, server, f"{provider}/login", form=form)

    async def token(self, scopes: str, bsn: str = CLIENT, reason: str | None = None) -> Request:
        """A token request at the holder's authorization server, which asks consent."""
        details = [{"type": "client_data", "patient": {"system": BSN_SYSTEM, "value": bsn}, "purpose_of_use": "TREAT"}]
        form = {"grant_type": "client_credentials", "client_id": self.systems[HOSPITAL].party.client_id, "scope": scopes,
                "resource": self.station, "authorization_details": json.dumps(details), "id_token": self.statement}  # fmt: skip
        kind = ROUTES["authorization"]["POST", "/oauth2/{party}/token"]
        hops = [Hop(kind, HOSPITAL, HOLDER, (bsn,), reason=reason),
                Hop(DECISION, HOLDER, "toestemmingsregister", (bsn,), reason=reason)]  # fmt: skip
        return Request(HOSPITAL, "POST", f"{self.issuer}/token", hops, {"form": form}, (bsn,))

    async def _care_token(self) -> str:
        bounds = {"patient": CLIENT, "purpose": "TREAT", "id_token": self.statement}
        token = await self.systems[HOSPITAL].token(self.issuer, self.station, SCOPES, **bounds)
        assert token is not None
        return token

    def _datastation(self) -> None:
        base, token = self.station, self.tokens["care"]
        introspected = Hop(INTROSPECT, HOLDER, HOLDER, (CLIENT,))
        nested = (introspected, Hop(DECISION, HOLDER, "toestemmingsregister", (CLIENT,)))
        self._add("datastation", "GET", "/{party}/fhir/metadata", HOSPITAL, HOLDER, f"{base}/fhir/metadata")
        records = generate(next(each for each in self.network.home.seed.clients if each.bsn == CLIENT),
                           self.network.home.seed.party(HOLDER))  # fmt: skip
        for kind in ("Patient", "Condition", "MedicationRequest", "CarePlan"):
            resource = next(each["resource"] for each in records["entry"] if each["resource"]["resourceType"] == kind)
            url, root = f"{base}/fhir/{kind}", "/{party}/fhir/{resource_type}"
            own = f"{url}/{resource['id']}"
            self._add("datastation", "GET", root, HOSPITAL, HOLDER, url, (CLIENT,), None, nested, token=token)
            self._add("datastation", "POST", f"{root}/_search", HOSPITAL, HOLDER, f"{url}/_search", (CLIENT,), None, nested,
                      token=token, form={})  # fmt: skip
            self._add("datastation", "GET", f"{root}/{{resource_id}}", HOSPITAL, HOLDER, own, (CLIENT,), None, nested, token=token)
        self._add_made("datastation", "POST", "/{party}/fhir", lambda: self.load([CLIENT]))
        self._add("datastation", "GET", "/{party}/sparql/questions", OFFICE, HOLDER, f"{base}/sparql/questions")
        question = {"question": "clients-per-zorgprofiel", "parameters": {"peildatum": "2026-09-01"}}
        self._add("datastation", "POST", "/{party}/sparql", OFFICE, HOLDER, f"{base}/sparql", (), None,
                  (Hop(INTROSPECT, HOLDER, HOLDER),), content=question, token=self.tokens["kik-v"])  # fmt: skip

    async def load(self, bsns: list[str], *, without_people: bool = False, fault: bool = False) -> Request:
        """Records of these clients, brought in by the holder's own care system; without their Patients only the source knows whose.

        With a `fault` in one entry all of it is refused.
        """
        seed = self.network.home.seed
        entries: list[dict[str, Any]] = []
        owners: list[str] = []
        for bsn in bsns:
            found = generate(next(each for each in seed.clients if each.bsn == bsn), seed.party(HOLDER))["entry"]
            found = [each for each in found if not without_people or each["resource"]["resourceType"] != "Patient"]
            entries += found
            owners += [bsn] * len(found)
        if fault:
            entries = [*entries, {"fullUrl": f"urn:uuid:{uuid.uuid4()}", "resource": {"resourceType": "Patient"}}]
        known = () if without_people else tuple(sorted(bsns))
        reason = "profile" if fault else None
        parts = () if fault else tuple((UPDATE, () if without_people else (bsn,), (bsn,)) for bsn in owners)
        hop = Hop(ROUTES["datastation"]["POST", "/{party}/fhir"], HOLDER, HOLDER, known, reason=reason, entries=parts)
        bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
        sent = {"content": bundle, "content_type": FHIR}
        return Request(HOLDER, "POST", f"{self.station}/fhir", [hop], sent)
