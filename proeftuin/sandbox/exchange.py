"""The exchange: a nurse of hospital A treats a client known at nursing home B and home-care organisation C."""

from dataclasses import dataclass, field
from typing import Any

from proeftuin.identifiers import BSN_SYSTEM
from proeftuin.parties import Party, Seed
from proeftuin.sandbox.care_system import CareSystem, Stopped
from proeftuin.transport.tracing import CURRENT, Trace

ALL_SCOPES = "patient/CarePlan.rs patient/Condition.rs patient/MedicationRequest.rs patient/Patient.rs"
PARTS = (
    "two hospitals, the first with a nurse (role 30) and a physiotherapist (04); a first client known at two holders, the first of "
    "whom has other clients with and without consent; a portal; an index"
)
TYPES = ("Patient", "Condition", "MedicationRequest", "CarePlan")


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays which part; found in the seed by what they are, so that another parties.toml works too."""

    seed: Seed
    hospital: Party
    nurse: str
    physiotherapist: str
    client: str
    other_client: str
    unconsenting_client: str
    holder: Party
    other_holder: Party
    thief: Party
    portal: Party
    recipient: str


def cast(seed: Seed) -> Cast:
    """Choose the parts: the first of each kind; raises Stopped when the seed lacks one."""
    try:
        hospitals = [party for party in seed.parties if party.kind == "ziekenhuis"]
        hospital = hospitals[0]
        staff = [each for each in seed.professionals if each.employer == hospital.id]
        client = seed.clients[0]
        holder, other_holder = (seed.party(party) for party in client.known_at[:2])
        consenting = {consent.client for consent in seed.consents if consent.decision == "permit"}
        at_holder = [each.bsn for each in seed.clients if holder.id in each.known_at and each.bsn != client.bsn]
        index = next(party for party in seed.parties if party.kind == "verwijsindex")
        return Cast(
            seed=seed,
            hospital=hospital,
            nurse=next(each.uzi for each in staff if each.role.startswith("30.")),
            physiotherapist=next(each.uzi for each in staff if each.role.startswith("04.")),
            client=client.bsn,
            other_client=next(bsn for bsn in at_holder if bsn in consenting),
            unconsenting_client=next(bsn for bsn in at_holder if bsn not in consenting),
            holder=holder,
            other_holder=other_holder,
            thief=hospitals[1],
            portal=next(party for party in seed.parties if party.kind == "portaal"),
            recipient=f"oin:{index.oin}",
        )
    except (StopIteration, IndexError, ValueError) as error:
        raise Stopped(f"parties.toml lacks a part of the exchange: {PARTS}") from error


@dataclass(slots=True)
class Exchange:
    """One exchange by the hospital's system, under one trace; keeps what it found for the refusals that follow."""

    system: CareSystem
    parts: Cast
    trace: Trace = field(default_factory=Trace.new)
    found: list[str] = field(default_factory=list)
    addresses: dict[str, str] = field(default_factory=dict)
    statement: str = ""

    async def run(self) -> dict[str, Any]:
        """Go through all steps and return the client's data by resource type; raises Stopped at the first that fails."""
        before = CURRENT.set(self.trace)
        self.system.hops.scenario = "exchange"
        try:
            await self.prepare()
            self.found = await self.system.localize(self.parts.client, "Condition", self.parts.recipient)
            if self.parts.holder.ura not in self.found:
                raise Stopped(f"localization does not know {self.parts.holder.name} for this client: {self.found}")
            self.addresses = await self.system.look_up(self.parts.holder.ura or "")
            token = await self.ask(ALL_SCOPES, self.parts.client)
            if token is None:
                raise Stopped("no token for the exchange")
            return {kind: await self.read(kind, token) for kind in TYPES}
        finally:
            CURRENT.reset(before)

    async def prepare(self) -> None:
        """Find the network and log the nurse in."""
        await self.system.discover()
        self.statement = await self.system.log_in("identity-professionals", professional=self.parts.nurse)

    @property
    def resource(self) -> str:
        """The audience for the holder's datastation: its FHIR address without the last part."""
        return self.addresses["hl7-fhir-rest"].removesuffix("/fhir")

    async def ask(
        self,
        scope: str,
        patient: str,
        *,
        expected: str = "ok",
        statement: str | None = None,
        lifetime: int | None = None,
    ) -> str | None:
        """Ask the holder's authorization server for a token for one client."""
        return await self.system.token(
            self.addresses["oauth2"],
            self.resource,
            scope,
            target=self.parts.holder.id,
            expected=expected,
            patient=patient,
            purpose="TREAT",
            id_token=statement or self.statement,
            lifetime=lifetime,
        )

    async def read(
        self,
        kind: str,
        token: str,
        *,
        patient: str | None = None,
        expected: str = "ok",
        system: CareSystem | None = None,
    ) -> Any:  # noqa: ANN401 - a FHIR Bundle
        """Search the client's resources of one type at the holder; without `patient` the token says whose."""
        caller = system or self.system
        url = f"{self.addresses['hl7-fhir-rest']}/{kind}/_search"
        form = {"identifier" if kind == "Patient" else "patient.identifier": f"{BSN_SYSTEM}|{patient}"} if patient else {}
        answer = await caller.call(f"read {kind}", self.parts.holder.id, "POST", url, form=form, token=token, expected=expected)
        return answer.json() if answer is not None and answer.status == 200 else None
