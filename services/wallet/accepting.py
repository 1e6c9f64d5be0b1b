"""Accepting a credential offer as its holder: OpenID4VCI 1.0 (final), pre-authorized code flow (§3.5), from offer to wallet."""

from typing import Any
from urllib.parse import urlsplit

from proeftuin.access.admission import Admission
from proeftuin.audit import interactions
from proeftuin.audit.calling import About
from proeftuin.audit.events import ISSUANCE, TOKEN_REQUEST
from proeftuin.audit.interactions import UNLOGGED, Interaction
from proeftuin.credentials import key_proof, openid4vci
from proeftuin.credentials.credential import Credential
from proeftuin.credentials.openid4vci import ISSUER_METADATA, SERVER_METADATA
from proeftuin.reasons import CATALOGUE, CREDENTIAL_NOT_GIVEN, INVALID_REQUEST, OFFER_MALFORMED, UPSTREAM, Refused
from proeftuin.strict_json import parse_object
from proeftuin.transport.client import Unreachable
from services.wallet import store
from services.wallet.wallet import Wallet

_MEMBERS: dict[str, type] = {"credential_offer": dict, "credential_offer_uri": str, "tx_code": str}
_MAX_DOCUMENT = 1 << 18


async def accept(admission: Admission, wallet: Wallet, asked: dict[str, Any]) -> list[Credential]:
    """Fetch what is offered, verify it and load it into the wallet; returns it.

    `asked` has `credential_offer` or `credential_offer_uri` (§4.1), and `tx_code` where the offer asks one. What was received
    before something fails stays. Raises Refused: INVALID_REQUEST, OFFER_MALFORMED, UPSTREAM, CREDENTIAL_NOT_GIVEN with what the
    issuer answered, or the check of a credential that fails.
    """
    if any(not isinstance(value, _MEMBERS.get(name, ())) for name, value in asked.items()) or len(asked.keys() - {"tx_code"}) != 1:
        raise Refused(INVALID_REQUEST, "send credential_offer or credential_offer_uri, and tx_code where the offer asks one")
    try:
        return await _Issuer(wallet, admission).fetch(asked)
    except (LookupError, TypeError, ValueError, AttributeError) as error:  # documents of another: whatever shape they have
        raise Refused(OFFER_MALFORMED, f"the offer or the metadata of its issuer cannot be read: {str(error)[:120]}") from error


class _Issuer:
    """The issuer of one offer, as `wallet` sees it."""

    def __init__(self, wallet: Wallet, admission: Admission) -> None:
        self._wallet = wallet
        self._admission = admission

    async def fetch(self, asked: dict[str, Any]) -> list[Credential]:
        offer = asked.get("credential_offer") or await self._referred(asked["credential_offer_uri"])
        identifier, kinds = offer["credential_issuer"], offer["credential_configuration_ids"]
        grant = offer["grants"][openid4vci.GRANT_TYPE]
        if not isinstance(kinds, list) or not 0 < len(kinds) == len(set(kinds)) <= openid4vci.MOST:
            raise ValueError(f"credential_configuration_ids has 1 to {openid4vci.MOST} different ones")
        if ("tx_code" in grant) != ("tx_code" in asked):
            raise Refused(INVALID_REQUEST, f"this offer {'needs a' if 'tx_code' in grant else 'has no'} tx_code")
        metadata = await self._document(ISSUER_METADATA, identifier, "credential_issuer")
        servers = metadata.get("authorization_servers") or [identifier]
        server = grant.get("authorization_server", servers[0])
        if server not in servers:
            raise ValueError("authorization_server is none of the issuer's")
        wanted = {kind: _types(metadata["credential_configurations_supported"][kind]) for kind in kinds}
        door = _endpoint(metadata, "credential_endpoint", identifier)
        nonces = _endpoint(metadata, "nonce_endpoint", identifier) if "nonce_endpoint" in metadata else None
        self._admission.record.details |= {"credential_issuer": identifier[:200], "types": " ".join(kinds)[:300]}
        form = {
            "grant_type": openid4vci.GRANT_TYPE, "pre-authorized_code": grant["pre-authorized_code"],
            "client_id": self._wallet.tenant.party.client_id,
        } | ({"tx_code": asked["tx_code"]} if "tx_code" in asked else {})  # fmt: skip
        endpoint = _endpoint(await self._document(SERVER_METADATA, server, "issuer"), "token_endpoint", server)
        token = str((await self._call("POST", endpoint, TOKEN_REQUEST, form=form))["access_token"])
        received: list[Credential] = []
        for kind, types in wanted.items():
            proof = await self._proof(identifier, nonces)
            content = {"credential_configuration_id": kind, "proofs": {"jwt": [proof]}}
            answer = await self._call("POST", door, ISSUANCE, content=content, token=token)
            raw = str(answer["credentials"][0]["credential"])
            found = await self._wallet.verified(raw)
            if set(found.types) != types:
                raise Refused(CREDENTIAL_NOT_GIVEN, f"a {found.type[:60]} came for the {kind[:60]} that was offered")
            await self._wallet.tenant.database.write(store.hold, found, raw)  # at once: the issuer gives it no second time
            received.append(found)
            self._admission.record.details["credential"] = " ".join(each.id[-36:] for each in received)
        return received

    async def _proof(self, identifier: str, nonces: str | None) -> str:
        wallet = self._wallet
        nonce = (await self._call("POST", nonces))["c_nonce"] if nonces else None
        return key_proof.make(wallet.keys, wallet.did, identifier, nonce, wallet.tenant.party.client_id, wallet.tenant.clock)

    async def _referred(self, uri: str) -> dict[str, Any]:
        """The offer by reference: whoever invokes a wallet chooses this address, so only one that can be of an offer is asked."""
        if interactions.of("GET", uri).event is not UNLOGGED:
            raise ValueError("credential_offer_uri is no address of an offer")
        return await self._call("GET", uri)

    async def _document(self, name: str, identifier: str, member: str) -> dict[str, Any]:
        """Return metadata that says itself of whom it is (§12.2.4, RFC 8414 §3.3)."""
        document = await self._call("GET", openid4vci.well_known(name, identifier))
        if document[member] != identifier:
            raise ValueError(f"{member} in the metadata is another than the offer names")
        return document

    async def _call(self, method: str, url: str, event: Any = UNLOGGED, **sent: Any) -> dict[str, Any]:  # noqa: ANN401 - see PeerClient.request
        """Call the issuer, over mTLS; the protocol says what the call is, and not the path, which is of the issuer's choice."""
        if urlsplit(url).scheme != "https":
            raise ValueError("an address of the issuer is not https")
        try:
            answer = await self._wallet.tenant.client.request(method, url, about=About(interaction=Interaction(event)), **sent)
        except Unreachable as error:
            raise Refused(UPSTREAM, "the issuer of the offer does not answer") from error
        if len(answer.body) > _MAX_DOCUMENT:
            raise ValueError("an answer of the issuer is too large")
        if answer.status not in (200, 201):  # 202: later (§9), which this wallet does not wait for
            code = answer.headers.get("X-Reason", "")
            told = code if code in CATALOGUE else f"status {answer.status}"
            raise Refused(CREDENTIAL_NOT_GIVEN, f"the issuer answered {told}")
        return parse_object(answer.body)


def _types(configuration: dict[str, Any]) -> set[str]:
    """Return the types of the credential that a configuration is of (appendix A.1.1.2)."""
    if configuration["format"] != openid4vci.FORMAT:
        raise ValueError(f"this wallet takes credentials of format {openid4vci.FORMAT}")
    return set(configuration["credential_definition"]["type"])


def _endpoint(document: dict[str, Any], name: str, identifier: str) -> str:
    """Return an endpoint at the host of who published it: an offer must not send this party's certificate to a third."""
    url = document[name]
    if urlsplit(url)[:2] != urlsplit(identifier)[:2]:
        raise ValueError(f"{name} is at another host than {identifier[:100]}")
    return str(url)
