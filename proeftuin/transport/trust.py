"""What a service trusts: the root, the issuing CAs and their revocation lists, read again whenever a file changes."""

import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography import x509

from proeftuin.reasons import (
    CERTIFICATE_EXPIRED,
    CERTIFICATE_INVALID,
    CERTIFICATE_MISSING,
    CERTIFICATE_REVOKED,
    CERTIFICATE_UNKNOWN_CA,
    CRL_EXPIRED,
    Reason,
)

_VERIFY_REASONS = {  # X509_V_ERR_* of OpenSSL's x509_vfy.h
    3: CRL_EXPIRED, 9: CERTIFICATE_EXPIRED, 10: CERTIFICATE_EXPIRED, 12: CRL_EXPIRED,
    18: CERTIFICATE_UNKNOWN_CA, 19: CERTIFICATE_UNKNOWN_CA, 20: CERTIFICATE_UNKNOWN_CA, 21: CERTIFICATE_UNKNOWN_CA,
    23: CERTIFICATE_REVOKED,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class HandshakeRefusal:
    """A connection that TLS refused: the reason from the catalogue and OpenSSL's own words."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Revocations:
    """What the revocation lists say: the certificates that ended, and the moment at which the first of the lists expires."""

    ended: frozenset[tuple[str, int]]  # issuer's common name, serial number
    next_update: datetime

    def include(self, certificate_id: str) -> bool:
        """Tell whether the certificate with this name (`Peer.certificate_id`) stands on its issuer's list."""
        issuer, _, serial = certificate_id.rpartition("#")
        return (issuer, int(serial, 16)) in self.ended


class Trust:
    """A folder with `root.pem`, `issuing-*.pem` and `*.crl.pem`; every question is answered from the files as they are now."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stamp: tuple[tuple[str, int, int], ...] = ()
        self._revocations: Revocations | None = None

    def stamp(self) -> tuple[tuple[str, int, int], ...]:
        """Return what changes when a file of the folder changes."""
        with os.scandir(self.folder) as entries:  # each request asks this: pathlib takes ten times as long
            stats = [(entry.name, entry.stat()) for entry in entries if entry.name.endswith(".pem")]
        return tuple(sorted((name, stat.st_mtime_ns, stat.st_ino) for name, stat in stats))

    def revocations(self) -> Revocations:
        """Return what the lists say now, also for a connection that stayed open; raises FileNotFoundError when there is none."""
        stamp = self.stamp()
        if stamp != self._stamp or self._revocations is None:
            lists = [x509.load_pem_x509_crl(path.read_bytes()) for path in sorted(self.folder.glob("*.crl.pem"))]
            next_update = min((crl.next_update_utc for crl in lists if crl.next_update_utc), default=None)
            if next_update is None:
                raise FileNotFoundError(f"no revocation list in {self.folder}")
            ended = frozenset((common_name(crl.issuer), entry.serial_number) for crl in lists for entry in crl)
            self._revocations, self._stamp = Revocations(ended, next_update), stamp
        return self._revocations

    def root(self) -> x509.Certificate:
        """Return the certificate that every chain leads to."""
        return x509.load_pem_x509_certificate((self.folder / "root.pem").read_bytes())

    def issuing(self, kind: str) -> x509.Certificate:
        """Return the certificate of the CA that issues certificates of `kind` (`uzi`, `pkioverheid`, `vecozo`)."""
        return x509.load_pem_x509_certificate((self.folder / f"issuing-{kind}.pem").read_bytes())

    def load_into(self, context: ssl.SSLContext) -> None:
        """Make `context` require a certificate that this folder vouches for and that is not revoked."""
        for path in sorted(self.folder.glob("*.pem")):
            context.load_verify_locations(path)
        context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF
        context.verify_mode = ssl.CERT_REQUIRED


class ReloadingContext(ssl.SSLContext):
    """An SSLContext that builds itself anew, for new connections, when its certificate, key, anchors or lists change."""

    _build: Callable[[], ssl.SSLContext]
    _stamp_of: Callable[[], object]
    _stamp: object = None
    _current: ssl.SSLContext

    @classmethod
    def of(cls, *, server: bool, build: Callable[[], ssl.SSLContext], stamp: Callable[[], object]) -> "ReloadingContext":
        """Return a context that asks `build` for the real one whenever `stamp` gives something else than before."""
        context = cls(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
        context._build, context._stamp_of = build, stamp
        context._refresh()
        return context

    def _refresh(self) -> None:
        stamp = self._stamp_of()
        if stamp == self._stamp:
            return
        try:
            self._current, self._stamp = self._build(), stamp
        except (OSError, ssl.SSLError):  # between the new certificate and its key: the old pair serves until both are there
            if self._stamp is None:
                raise

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:  # noqa: ANN401 - passed on as they come
        """Begin a connection with what the files say now."""
        self._refresh()
        return self._current.wrap_bio(*args, **kwargs)


def server_context(certificate: Path, key: Path, trust: Trust, on_refusal: Callable[[HandshakeRefusal], None]) -> ReloadingContext:
    """Return the TLS 1.3 context of a listener: client certificates required, no session tickets, refusals told to `on_refusal`."""

    class Announcing(ssl.SSLObject):
        """Sends the TLS alert before it gives up, so that the caller can read why (asyncio would drop it), and tells the reason."""

        _failure: ssl.SSLError | None = None

        def do_handshake(self) -> None:
            if self._failure is not None:
                raise self._failure
            try:
                super().do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise
            except ssl.SSLError as error:
                self._failure = error
                on_refusal(_explain(error))
                raise ssl.SSLWantReadError from error  # one more turn: the alert leaves first

    def build() -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.num_tickets = 0  # a resumed session would escape the revocation list
        context.load_cert_chain(certificate, key)
        trust.load_into(context)
        context.sslobject_class = Announcing
        return context

    return ReloadingContext.of(server=True, build=build, stamp=lambda: (_stat(certificate), _stat(key), trust.stamp()))


class Remembering(ssl.SSLObject):
    """Keeps the alert by which the other side refused: aiohttp loses it while it writes a body (TLS 1.3: it comes late)."""

    alert: ssl.SSLError | None = None

    def read(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as ssl.SSLObject
        """Read, and keep why it cannot be."""
        try:
            return super().read(*args, **kwargs)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            self.alert = error
            raise


def client_context(certificate: Path, key: Path, trust: Trust) -> ReloadingContext:
    """Return the TLS 1.3 context of a caller that shows `certificate` and checks the server against `trust`."""

    def build() -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(certificate, key)
        trust.load_into(context)
        context.sslobject_class = Remembering
        return context

    return ReloadingContext.of(server=False, build=build, stamp=lambda: (_stat(certificate), _stat(key), trust.stamp()))


def reason_of_verification(error: ssl.SSLCertVerificationError) -> Reason:
    """Return the reason from the catalogue for what OpenSSL found wrong with a certificate."""
    return _VERIFY_REASONS.get(error.verify_code, CERTIFICATE_INVALID)


def _explain(error: ssl.SSLError) -> HandshakeRefusal:
    if isinstance(error, ssl.SSLCertVerificationError):
        return HandshakeRefusal(reason_of_verification(error), f"{error.verify_code} {error.verify_message}")
    if error.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return HandshakeRefusal(CERTIFICATE_MISSING, "the peer did not return a certificate")
    return HandshakeRefusal(CERTIFICATE_INVALID, error.reason or "TLS handshake failed")


def _stat(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_ino


def common_name(name: x509.Name) -> str:
    return str(name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)
