"""The CA of the network: a root, an issuing CA for each kind of certificate, their revocation lists, and the index.

In its folder: `root.key`, `<kind>.key`, `issued.json`, and `trust/` with what a service needs and no key: `root.pem`,
`issuing-<kind>.pem`, `root.crl.pem`, `<kind>.crl.pem`.

Revocation lists and OpenSSL 3.0 (found by experiment, kept by tests): when a store has several lists of one issuer, the
one with the latest lastUpdate decides; CRL numbers are not compared, and of two equal ones the first loaded stays.
lastUpdate has whole seconds, and a list from the future is refused (X509_V_ERR_CRL_NOT_YET_VALID). So every list is
dated an hour back, and at least a second after the one before: two revocations within a second give two lists in order,
and a service whose clock runs behind accepts them. A store that is built anew has one list an issuer.
"""

import json
import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from proeftuin.clock import Clock, SystemClock
from proeftuin.parties import CertificateKind, Party
from proeftuin.pki import files
from proeftuin.pki.identity import ISSUERS, ROOT_NAME, thumbprint
from proeftuin.pki.profiles import KeyType, PrivateKey, authority_certificate, new_key, party_certificate

_BACKDATE = timedelta(hours=1)  # for clocks that run behind, and for lists in one second (see above)
_ROOT_LIFE = timedelta(days=3650)
_ISSUING_LIFE = timedelta(days=1825)
_AUTHORITIES = ("root", *ISSUERS)
HOLD = x509.ReasonFlags.certificate_hold
SUPERSEDED = x509.ReasonFlags.superseded


class PkiError(Exception):
    """The PKI cannot do what was asked; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A new certificate: `certificate` is a PEM file with the leaf and its issuing CA, `key` one with its private key."""

    certificate: Path
    key: Path
    serial: int
    thumbprint: str
    not_after: datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """A certificate in the index; `revoked` is when, and `reason` the RFC 5280 reason, or both None."""

    serial: int
    party: str
    kind: CertificateKind
    thumbprint: str
    not_after: datetime
    revoked: datetime | None = None
    reason: str | None = None


class Authority:
    """The CA in `folder`. Several processes may use it at once; a kill at any moment leaves it usable."""

    def __init__(self, folder: Path, clock: Clock | None = None) -> None:
        self.folder = folder
        self.trust_folder = folder / "trust"
        self._clock = clock or SystemClock()

    def create(self) -> None:
        """Make the CAs and their first lists, unless they are there; raises PkiError when something of them is missing."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with files.locked(self.folder.with_name(f".{self.folder.name}.lock")):
            if self.folder.exists() and any(self.folder.iterdir()):
                self.open()
                return
            aside = self.folder.with_name(f".{self.folder.name}.new")
            shutil.rmtree(aside, ignore_errors=True)  # of a process that was killed
            aside.mkdir(mode=0o700)
            Authority(aside, self._clock)._make()
            aside.rename(self.folder)

    def open(self) -> None:
        """Check that nothing is missing; raises PkiError."""
        lacking = [path for path in self._needed() if not path.is_file()]
        if len(lacking) == len(self._needed()):
            raise PkiError(f"there is no PKI in {self.folder}: run `proeftuin up`")
        if lacking:
            names = ", ".join(str(path.relative_to(self.folder)) for path in lacking)
            raise PkiError(f"the PKI in {self.folder} is incomplete, it lacks {names}: run `proeftuin reset`")
        self._load()

    def issue(
        self,
        party: Party,
        *,
        folder: Path,
        name: str = "certificate",
        dns: Sequence[str] = ("localhost",),
        key_type: KeyType = "p256",
        days: int = 90,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
    ) -> Issued:
        """Make a key and a certificate for `party`, of its kind, as `<name>.key` and `<name>.pem` in `folder`.

        `days` counts from now; `not_before` and `not_after` replace the validity. Raises PkiError when the party has
        the name of a CA (X.509 compares names without case: the chain would not be found).
        """
        self.open()
        if party.name.casefold() in {each.casefold() for each in (ROOT_NAME, *ISSUERS.values())}:
            raise PkiError(f"party {party.id} has the name of a CA, {party.name!r}: choose another in parties.toml")
        kind = party.certificate_kind
        now = self._clock.now()
        validity = (not_before or now - _BACKDATE, not_after or now + timedelta(days=days))
        key = new_key(key_type)
        issuing = self._authority(kind)
        leaf = party_certificate(party, key, validity, issuing, dns)
        der = leaf.public_bytes(Encoding.DER)
        entry = Entry(leaf.serial_number, party.id, kind, thumbprint(der), leaf.not_valid_after_utc)
        with self._locked():  # indexed before it exists: what is out there can be revoked
            state = self._load()
            state["certificates"].append(_to_json(entry))
            self._save(state)
        chain = leaf.public_bytes(Encoding.PEM) + issuing[0].public_bytes(Encoding.PEM)
        paths = files.write_pair(folder, name, f"{leaf.serial_number:x}", chain, _key_pem(key))
        return Issued(*paths, entry.serial, entry.thumbprint, entry.not_after)

    def rotate(self, party: Party, *, folder: Path, name: str = "certificate", revoke: bool = False, days: int = 90) -> Issued:
        """Replace the certificate `<name>` in `folder` by a new one with a new key, with its host names and key type.

        The old one stays valid until it expires, or is revoked (superseded, for good) with `revoke`.
        """
        path = folder / f"{name}.pem"
        try:
            old = x509.load_pem_x509_certificate(path.read_bytes())
        except (OSError, ValueError) as error:
            raise PkiError(f"{path} is no certificate to replace: run `proeftuin pki issue`") from error
        dns = old.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
        key_type: KeyType = "rsa2048" if isinstance(old.public_key(), rsa.RSAPublicKey) else "p256"
        issued = self.issue(party, folder=folder, name=name, dns=dns, key_type=key_type, days=days)
        if revoke:
            self.revoke(old.serial_number, SUPERSEDED)
        return issued

    def revoke(self, serial: int, reason: x509.ReasonFlags = HOLD) -> None:
        """Put a certificate on its issuer's list; one on hold may still be revoked for good. Raises PkiError if unknown.

        The default reason is certificateHold: the only one from which RFC 5280 §5.3.1 knows a way back.
        """
        with self._locked():
            state = self._load()
            entry = _find(state, serial)
            entry["revoked"] = entry["revoked"] or self._clock.now().replace(microsecond=0).isoformat()
            if entry["reason"] in {None, HOLD.value}:
                entry["reason"] = reason.value
            self._publish(state)

    def unrevoke(self, serial: int) -> None:
        """Take a certificate off the list again; raises PkiError when it is not there for certificateHold."""
        with self._locked():
            state = self._load()
            entry = _find(state, serial)
            if entry["reason"] not in {None, HOLD.value}:
                raise PkiError(f"certificate {serial:x} was revoked for good ({entry['reason']}): issue a new one")
            entry["revoked"] = entry["reason"] = None
            self._publish(state)

    def write_crls(self, next_update_days: float = 7) -> None:
        """Sign all revocation lists anew; these and later ones hold for `next_update_days` (0 or less: they are expired)."""
        with self._locked():
            self._publish(self._load() | {"crl_days": next_update_days})

    def index(self) -> list[Entry]:
        """Return every certificate that was issued, in order."""
        return [_from_json(entry) for entry in self._load()["certificates"]]

    def _make(self) -> None:
        now = self._clock.now()
        root_key = new_key()
        root = authority_certificate(ROOT_NAME, root_key, (now - _BACKDATE, now + _ROOT_LIFE), None)
        self._keep("root", root, root_key)
        for kind, name in ISSUERS.items():
            key = new_key()
            validity = (now - _BACKDATE, now + _ISSUING_LIFE)
            self._keep(kind, authority_certificate(name, key, validity, (root, root_key)), key)
        self._publish({"crl_number": 0, "crl_time": None, "crl_days": 7, "certificates": []})

    def _keep(self, authority: str, certificate: x509.Certificate, key: PrivateKey) -> None:
        files.write(self.folder / f"{authority}.key", _key_pem(key), 0o600)
        files.write(self._certificate_path(authority), certificate.public_bytes(Encoding.PEM))

    def _certificate_path(self, authority: str) -> Path:
        return self.trust_folder / ("root.pem" if authority == "root" else f"issuing-{authority}.pem")

    def _needed(self) -> list[Path]:
        return [
            self.folder / "issued.json",
            *(self.folder / f"{each}.key" for each in _AUTHORITIES),
            *(self._certificate_path(each) for each in _AUTHORITIES),
            *(self.trust_folder / f"{each}.crl.pem" for each in _AUTHORITIES),
        ]

    def _authority(self, authority: str) -> tuple[x509.Certificate, PrivateKey]:
        try:
            certificate = x509.load_pem_x509_certificate(self._certificate_path(authority).read_bytes())
            key = load_pem_private_key((self.folder / f"{authority}.key").read_bytes(), password=None)
        except (OSError, ValueError) as error:
            raise PkiError(f"the CA {authority} in {self.folder} is damaged: run `proeftuin reset`") from error
        return certificate, key  # type: ignore[return-value] # _keep wrote it

    def _publish(self, state: dict[str, Any]) -> None:
        """Store the state, then sign the lists that follow from it: what a kill leaves undone, the next call mends."""
        last = datetime.fromisoformat(state["crl_time"]) if state["crl_time"] else None
        present = self._clock.now().replace(microsecond=0)
        moment = max(present - _BACKDATE, last + timedelta(seconds=1)) if last else present - _BACKDATE
        state["crl_number"] += 1
        state["crl_time"] = moment.isoformat()
        self._save(state)
        until = max(present + timedelta(days=state["crl_days"]), moment + timedelta(seconds=1))
        entries = [_from_json(entry) for entry in state["certificates"]]
        for authority in _AUTHORITIES:
            revoked = [entry for entry in entries if entry.kind == authority and entry.revoked]
            crl = _revocation_list(self._authority(authority), revoked, (moment, until), state["crl_number"])
            files.write(self.trust_folder / f"{authority}.crl.pem", crl.public_bytes(Encoding.PEM))

    def _load(self) -> dict[str, Any]:
        try:
            state: dict[str, Any] = json.loads((self.folder / "issued.json").read_bytes())
        except FileNotFoundError as error:
            raise PkiError(f"there is no PKI in {self.folder}: run `proeftuin up`") from error
        except ValueError as error:
            raise PkiError(f"{self.folder / 'issued.json'} is damaged: run `proeftuin reset`") from error
        return state

    def _save(self, state: dict[str, Any]) -> None:
        files.write(self.folder / "issued.json", json.dumps(state, indent=1).encode(), 0o600)

    def _locked(self) -> AbstractContextManager[None]:
        self.open()
        return files.locked(self.folder / "lock")


def _revocation_list(
    issuer: tuple[x509.Certificate, PrivateKey], revoked: list[Entry], times: tuple[datetime, datetime], number: int
) -> x509.CertificateRevocationList:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer[0].subject)
        .last_update(times[0])
        .next_update(times[1])
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer[1].public_key()), critical=False)
    )
    for entry in revoked:
        assert entry.revoked is not None and entry.reason is not None  # noqa: S101, PT018 - _publish chose them so
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder()
            .serial_number(entry.serial)
            .revocation_date(entry.revoked)
            .add_extension(x509.CRLReason(x509.ReasonFlags(entry.reason)), critical=False)
            .build()
        )
    return builder.sign(issuer[1], hashes.SHA256())


def _find(state: dict[str, Any], serial: int) -> dict[str, Any]:
    for entry in state["certificates"]:
        if entry["serial"] == f"{serial:x}":
            found: dict[str, Any] = entry
            return found
    raise PkiError(f"no certificate with serial {serial:x} was issued here: see `proeftuin pki show`")


def _to_json(entry: Entry) -> dict[str, Any]:
    return asdict(entry) | {"serial": f"{entry.serial:x}", "not_after": entry.not_after.isoformat()}


def _from_json(entry: dict[str, Any]) -> Entry:
    revoked = datetime.fromisoformat(entry["revoked"]) if entry["revoked"] else None
    not_after = datetime.fromisoformat(entry["not_after"])
    return Entry(**entry | {"serial": int(entry["serial"], 16), "not_after": not_after, "revoked": revoked})


def _key_pem(key: PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
