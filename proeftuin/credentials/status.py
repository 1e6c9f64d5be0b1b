"""Status lists: whether an issuer revoked a credential, as one bit in a long list that it publishes (GFI-003).

Two dialects with the same bits: W3C Bitstring Status List 1.0 (2025) and StatusList2021, which the Nuts node issues.
"""

import base64
import binascii
import gzip
import time
import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from proeftuin.audit.interactions import UndeclaredInteractionError
from proeftuin.clock import Clock
from proeftuin.credentials import credential, jose
from proeftuin.credentials.credential import Credential
from proeftuin.credentials.dids import KeyResolver
from proeftuin.reasons import CREDENTIAL_REVOKED, CREDENTIAL_STATUS, Refused
from proeftuin.transport.client import Client, Unreachable

Dialect = Literal["bitstring", "2021"]
SIZE = 131072  # bits: the least that both specifications allow, so that a holder hides among many
VALIDITY = timedelta(hours=24)  # of nuts-node v6; issued anew when less than a quarter is left
_MAX_BITS = 1 << 23
_MAX_KEPT = 1000
MAX_NAME = 300
_CONTEXT = {"bitstring": "https://www.w3.org/ns/credentials/v2", "2021": "https://w3id.org/vc/status-list/2021/v1"}
_LIST = {"bitstring": "BitstringStatusList", "2021": "StatusList2021"}
_ENTRY: dict[str, Dialect] = {"BitstringStatusListEntry": "bitstring", "StatusList2021Entry": "2021"}
PURPOSE = "revocation"
CONTEXT_2021 = _CONTEXT["2021"]


@dataclass(frozen=True, slots=True)
class StatusRef:
    """Where a credential's status stands: `index` in the list at `url`, which `issuer` signs."""

    dialect: Dialect
    url: str
    index: int
    issuer: str

    @property
    def name(self) -> str:
        """All of it in one text."""
        return f"{self.dialect} {self.url}#{self.index} {self.issuer}"

    @classmethod
    def of(cls, name: str) -> "StatusRef":
        """Read what `name` wrote."""
        dialect, place, issuer = name.split(" ")
        url, _, index = place.rpartition("#")
        return cls("2021" if dialect == "2021" else "bitstring", url, int(index), issuer)


def entry(dialect: Dialect, url: str, index: int) -> dict[str, Any]:
    """Return the credentialStatus of the credential with this index in the list at `url`."""
    kind = next(name for name, each in _ENTRY.items() if each == dialect)
    return {
        "id": f"{url}#{index}", "type": kind, "statusPurpose": PURPOSE, "statusListIndex": str(index), "statusListCredential": url,
    }  # fmt: skip


def list_document(dialect: Dialect, url: str, issuer: str, revoked: list[int], now: datetime) -> dict[str, Any]:
    """Return the unsigned credential of a list in which the bits `revoked` are set."""
    subject = {"id": f"{url}#list", "type": _LIST[dialect], "statusPurpose": PURPOSE, "encodedList": encode(dialect, revoked)}
    document = credential.new_document(issuer, subject, f"{_LIST[dialect]}Credential", [_CONTEXT[dialect]], (now, now + VALIDITY))
    document["id"] = url
    if dialect == "bitstring":
        document["validFrom"], document["validUntil"] = document["issuanceDate"], document["expirationDate"]
    return document


def encode(dialect: Dialect, revoked: list[int]) -> str:
    """Return the bits as gzip in base64url, most significant bit first; a bitstring has the multibase prefix `u`."""
    bits = bytearray(SIZE // 8)
    for index in revoked:
        bits[index // 8] |= 0x80 >> index % 8
    text = base64.urlsafe_b64encode(gzip.compress(bytes(bits), mtime=0)).rstrip(b"=").decode()
    return f"u{text}" if dialect == "bitstring" else text


def decode(dialect: Dialect, encoded: str) -> bytes:
    """Return the bits, at least 131072 and at most 8 Mbit; raises ValueError."""
    if dialect == "bitstring":
        if not encoded.startswith("u"):
            raise ValueError("encodedList has no multibase prefix u")
        encoded = encoded[1:]
    try:
        compressed = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
        inflate = zlib.decompressobj(wbits=31)
        bits = inflate.decompress(compressed, _MAX_BITS // 8)
    except (binascii.Error, zlib.error) as error:
        raise ValueError("encodedList is no gzip in base64url") from error
    if not inflate.eof or len(bits) * 8 < SIZE:
        raise ValueError(f"the list has fewer than {SIZE} or more than {_MAX_BITS} bits")
    return bits


def refs_of(found: Credential) -> list[StatusRef]:
    """Return where the status of a credential stands; raises Refused(CREDENTIAL_STATUS) for an entry that cannot be understood."""
    refs = []
    for each in found.status:
        dialect = _ENTRY.get(str(each.get("type")))
        url, index = each.get("statusListCredential"), str(each.get("statusListIndex"))
        if (
            dialect is None
            or not isinstance(url, str)
            or not url.startswith("https://")
            or not index.isascii()
            or not index.isdigit()
        ):
            raise Refused(CREDENTIAL_STATUS, "credentialStatus is of a type that is not known here")
        ref = StatusRef(dialect, url, int(index[:10]), found.issuer)
        if " " in url or len(ref.name) > MAX_NAME or not ref.name.isprintable():
            raise Refused(CREDENTIAL_STATUS, f"statusListCredential is a URL, with issuer and index at most {MAX_NAME} characters")
        if each.get("statusPurpose") == PURPOSE:
            refs.append(ref)
    return refs


@dataclass(slots=True)
class _Kept:
    etag: str | None
    bits: bytes
    until: float  # POSIX: the list's own end
    fetched: float  # monotonic


class StatusChecker:
    """Asks status lists over mTLS. A list is asked for again after `max_age` seconds, with its ETag: unchanged costs no check.

    0 (default): at every question, so that a revocation holds at once. No list is used past its end.
    """

    def __init__(self, resolver: KeyResolver, client: Client, clock: Clock, *, max_age: float = 0.0) -> None:
        self._resolver = resolver
        self._client = client
        self._clock = clock
        self._max_age = max_age
        self._kept: dict[tuple[str, str], _Kept] = {}

    async def check(self, ref: StatusRef) -> None:
        """Raise Refused: CREDENTIAL_REVOKED when the bit is set, CREDENTIAL_STATUS when that cannot be known."""
        kept = await self._list(ref)
        if ref.index >= len(kept.bits) * 8:
            raise Refused(CREDENTIAL_STATUS, "the status list is shorter than the credential's index")
        if kept.bits[ref.index // 8] & (0x80 >> ref.index % 8):
            raise Refused(CREDENTIAL_REVOKED, "the issuer revoked a credential")

    async def _list(self, ref: StatusRef) -> _Kept:
        key = (ref.url, ref.issuer)
        kept = self._kept.get(key)
        if kept is not None and self._clock.real().timestamp() >= kept.until:
            kept = None
        if kept is not None and time.monotonic() - kept.fetched < self._max_age:
            return kept
        headers = {"If-None-Match": kept.etag} if kept is not None and kept.etag else {}
        try:
            answer = await self._client.request("GET", ref.url, headers=headers)
        except (Unreachable, UndeclaredInteractionError) as error:
            raise Refused(CREDENTIAL_STATUS, f"the status list does not answer: {str(error)[:120]}") from error
        if answer.status == 304 and kept is not None:
            kept.fetched = time.monotonic()
            return kept
        try:
            if answer.status != 200:
                raise ValueError(f"its address answers {answer.status}")
            bits, until = await self._read(ref, answer.body.decode())
        except (ValueError, Refused) as error:
            raise Refused(CREDENTIAL_STATUS, f"the status list cannot be used: {str(error)[:120]}") from error
        if len(self._kept) >= _MAX_KEPT:
            self._kept.clear()
        self._kept[key] = found = _Kept(answer.headers.get("ETag"), bits, until, time.monotonic())
        return found

    async def _read(self, ref: StatusRef, raw: str) -> tuple[bytes, float]:
        found = credential.read(raw)
        claims, now = found.claims, self._clock.real().timestamp()
        if found.signed is None or found.issuer != ref.issuer:
            raise ValueError("it is of another issuer than the credential")
        if found.expires is None or not (found.not_before or 0) - 60 <= now < found.expires:
            raise ValueError("it is expired or not yet valid")
        if claims.get("type") != _LIST[ref.dialect] or claims.get("statusPurpose") != PURPOSE:
            raise ValueError(f"it is no {_LIST[ref.dialect]} for {PURPOSE}")
        jose.verify(found.signed, await self._resolver.key(found.signed, found.issuer))
        return decode(ref.dialect, str(claims.get("encodedList"))), float(found.expires)
