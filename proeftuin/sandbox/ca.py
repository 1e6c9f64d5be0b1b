"""A hand on the CA of the sandbox: in the folder itself, or by a command where the CA is elsewhere (containers)."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509

from proeftuin.sandbox.home import Home


@dataclass(frozen=True, slots=True)
class Ca:
    """Issues to parties of `home` and revokes; `command` is what stands for `proeftuin pki` where the CA is elsewhere."""

    home: Home
    command: Sequence[str] = field(default=())

    def issue(self, party: str, name: str, until: datetime | None = None) -> int:
        """Put `name`.pem and `name`.key in the party's folder, `until` also in the past; returns the serial."""
        if self.command:
            moment = ["--until", until.isoformat(timespec="seconds")] if until else []
            self._run("issue", party, "--name", name, *moment)
            chain = self.home.party_folder(party) / f"{name}.pem"
            return x509.load_pem_x509_certificate(chain.read_bytes()).serial_number
        not_before, not_after = validity(until)
        issued = self.home.authority.issue(
            self.home.seed.party(party), folder=self.home.party_folder(party), name=name, not_before=not_before, not_after=not_after
        )
        return issued.serial

    def revoke(self, serial: int) -> None:
        """Put a certificate on the revocation list."""
        if self.command:
            self._run("revoke", f"{serial:x}")
        else:
            self.home.authority.revoke(serial)

    def _run(self, *arguments: str) -> None:
        subprocess.run([*self.command, *arguments], check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - the caller's own command


def validity(until: datetime | None) -> tuple[datetime | None, datetime | None]:
    """Return when a certificate begins and ends that ends at `until` (UTC); one that has ended began two days before."""
    return (min(datetime.now(UTC), until) - timedelta(days=2), until) if until else (None, None)
