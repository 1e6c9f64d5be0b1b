"""The datastation under test, of two parties; its own authorization server and consent are stood in for at its client."""

import json
from pathlib import Path
from typing import Any

import httpx

from proeftuin.sandbox.nursing_records import generate
from proeftuin.tokens.access_token import Person
from proeftuin.transport.client import Answer, Unreachable
from services.datastation.app import create_app
from tests.harness import BASE, Harness

HOLDER, OTHER_HOLDER = "verpleeghuis-avondrood", "thuiszorg-vliet"
HOSPITAL, OFFICE = "ziekenhuis-de-linde", "zorgkantoor-lindestreek"
CLIENT, OTHER = "999910000", "999918138"
NURSE = Person("900000011", "http://fhir.nl/fhir/NamingSystem/uzi-nr-pers", "30.000", "90000101")
FHIR_JSON = {"Content-Type": "application/fhir+json"}
Resource = dict[str, Any]


class Station(Harness):
    """`consent` answers every category with this outcome and reason; `live` is what introspection says; `reachable` of both."""

    def __init__(self, tmp_path: Path, database: str | None = None) -> None:
        super().__init__(tmp_path, "datastation", [HOLDER, OTHER_HOLDER] if database is None else [HOLDER], database)
        self.app = create_app(self.settings, self.wiring)
        self.consent: tuple[str, str | None] = ("permit", None)
        self.live, self.reachable = True, True
        for tenant in self.app.state.service.tenants.values():
            tenant.client.request = self._answer

    async def _answer(self, _method: str, url: str, **sent: Any) -> Answer:
        if not self.reachable:
            raise Unreachable(f"POST {url}: refused")
        outcome, reason = self.consent
        contents: dict[str, Resource] = {
            "token": {"access_token": "of no use here", "expires_in": 60},
            "introspect": {"active": self.live},
            "decisions": {"decisions": [{"category": each, "outcome": outcome, "reason": reason, "consent": ["Consent/1"]}
                                        for each in sent.get("content", {}).get("categories", [])]},
        }  # fmt: skip
        return Answer(200, {}, json.dumps(contents[url.rpartition("/")[2]]).encode())

    def records(self, bsn: str, party: str = HOLDER) -> Resource:
        client = next(client for client in self.seed.clients if client.bsn == bsn)
        return generate(client, self.seed.party(party))

    async def load(self, bundle: Any, party: str = HOLDER, by: str | None = None) -> httpx.Response:
        content = bundle if isinstance(bundle, bytes) else json.dumps(bundle).encode()
        return await self.call("POST", f"/{party}/fhir", party=by or party, headers=FHIR_JSON, content=content)

    async def ask(
        self, path: str, *scopes: str, patient: str | None = CLIENT, holder: str = HOLDER, form: dict[str, str] | None = None
    ) -> httpx.Response:
        """Read or search as a nurse of the hospital, with a token for what the path names unless `scopes` are given."""
        scopes = scopes or (f"patient/{path.split('/')[1].partition('?')[0]}.rs",)
        token = self.token(HOSPITAL, *scopes, patient=patient, person=NURSE, purpose="TREAT", audience=f"{BASE}/{holder}")
        place = f"/{holder}/fhir{path}"
        return await self.call("GET" if form is None else "POST", place, party=HOSPITAL, token=token, data=form)
