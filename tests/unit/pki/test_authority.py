"""The CA: what it issues verifies, what it revokes does not, and what a kill leaves behind can be used."""

import json
import os
import shutil
import ssl
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from proeftuin.parties import Seed
from proeftuin.pki.authority import SUPERSEDED, Authority, Issued, PkiError
from proeftuin.pki.identity import ISSUERS, ROOT_NAME, peer_from_der
from tests.unit.pki.handshake import context, shake

KINDS = {"ziekenhuis-de-linde": "uzi", "ciz": "pkioverheid", "zorgsoft": "vecozo"}


class StandingClock:
    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment

    real = now


def verify(authority: Authority, issued: Issued) -> str:
    """Return what `openssl verify` says, with the lists of the leaf's CA and of the root."""
    trust = authority.trust_folder
    lists = [argument for path in sorted(trust.glob("*.crl.pem")) for argument in ("-CRLfile", str(path))]
    command = ["openssl", "verify", "-x509_strict", "-crl_check", "-crl_check_all", "-CAfile", str(trust / "root.pem"), *lists]
    done = subprocess.run(
        [*command, "-untrusted", str(issued.certificate), str(issued.certificate)], capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def trust_of(authority: Authority) -> list[Path]:
    return sorted(authority.trust_folder.glob("*.pem"))


def crl(authority: Authority, name: str = "uzi") -> x509.CertificateRevocationList:
    return x509.load_pem_x509_crl((authority.trust_folder / f"{name}.crl.pem").read_bytes())


def number(revocation_list: x509.CertificateRevocationList) -> int:
    return revocation_list.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


@pytest.mark.parametrize(("party", "kind"), KINDS.items())
@pytest.mark.parametrize("key_type", ["p256", "rsa2048"])
def test_openssl_verifies_what_was_issued_and_refuses_it_while_revoked(
    authority: Authority, seed: Seed, tmp_path: Path, party: str, kind: str, key_type: str
) -> None:
    issued = authority.issue(seed.party(party), folder=tmp_path / "leaf", key_type=key_type)  # type: ignore[arg-type] # both are
    assert verify(authority, issued) == f"{issued.certificate}: OK\n"
    authority.revoke(issued.serial)
    assert "error 23 at 0 depth lookup: certificate revoked" in verify(authority, issued)
    assert [entry.serial_number for entry in crl(authority, kind)] == [issued.serial]
    authority.unrevoke(issued.serial)
    assert verify(authority, issued) == f"{issued.certificate}: OK\n"
    key = load_pem_private_key(issued.key.read_bytes(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey if key_type == "p256" else rsa.RSAPrivateKey)


def test_a_leaf_says_what_it_may_be_used_for_and_where(authority: Authority, seed: Seed, tmp_path: Path) -> None:
    issued = authority.issue(seed.party("ciz"), folder=tmp_path / "leaf", dns=("localhost", "addressing"))
    leaf, issuing = x509.load_pem_x509_certificates(issued.certificate.read_bytes())
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "addressing"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    purposes = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(purposes) == {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH}
    assert leaf.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    key_id = issuing.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    assert leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier == key_id


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_a_handshake_shows_the_identity_and_ends_when_either_side_is_revoked(
    authority: Authority, seed: Seed, tmp_path: Path, name: str
) -> None:
    service = authority.issue(seed.party("cibg"), folder=tmp_path / "service")
    caller = authority.issue(seed.party("verpleeghuis-avondrood"), folder=tmp_path / "caller")

    def attempt() -> bytes:
        trust = trust_of(authority)
        return shake(context(service, trust, server=True), context(caller, trust, server=False), name)

    assert peer_from_der(attempt()).client_id == "ura:90000103"
    for serial in (caller.serial, service.serial):
        authority.revoke(serial)
        with pytest.raises(ssl.SSLCertVerificationError, match="certificate revoked"):
            attempt()
        authority.unrevoke(serial)
        assert peer_from_der(attempt()).thumbprint == caller.thumbprint


def test_a_running_context_follows_each_newer_list_also_within_one_second(authority: Authority, seed: Seed, tmp_path: Path) -> None:
    stopped = Authority(authority.folder, StandingClock(datetime.now(UTC)))
    service = stopped.issue(seed.party("cibg"), folder=tmp_path / "service")
    caller = stopped.issue(seed.party("verpleeghuis-avondrood"), folder=tmp_path / "caller")
    server = context(service, trust_of(stopped), server=True)
    client = context(caller, trust_of(stopped), server=False)
    shake(server, client)
    for _ in range(3):
        stopped.revoke(caller.serial)
        server.load_verify_locations(stopped.trust_folder / "uzi.crl.pem")
        with pytest.raises(ssl.SSLCertVerificationError, match="certificate revoked"):
            shake(server, client)
        stopped.unrevoke(caller.serial)
        server.load_verify_locations(stopped.trust_folder / "uzi.crl.pem")
        shake(server, client)


def test_openssl_keeps_the_first_of_two_lists_with_one_date(authority: Authority, seed: Seed, tmp_path: Path) -> None:
    """The reason for dating every list later: with one date, a revocation that is loaded second has no effect."""
    service = authority.issue(seed.party("cibg"), folder=tmp_path / "service")
    caller = authority.issue(seed.party("verpleeghuis-avondrood"), folder=tmp_path / "caller")
    twin = Authority(shutil.copytree(authority.folder, tmp_path / "twin"))
    state = json.loads((twin.folder / "issued.json").read_text())
    earlier = datetime.fromisoformat(state["crl_time"]) - timedelta(days=1)
    clock = StandingClock(datetime.now(UTC) + timedelta(minutes=30))
    for each in (authority, twin):
        (each.folder / "issued.json").write_text(json.dumps(state | {"crl_time": earlier.isoformat()}))
    Authority(twin.folder, clock).revoke(caller.serial)
    Authority(authority.folder, clock).write_crls()
    assert crl(twin).last_update_utc == crl(authority).last_update_utc
    server = context(service, trust_of(authority), server=True)
    client = context(caller, trust_of(authority), server=False)
    server.load_verify_locations(twin.trust_folder / "uzi.crl.pem")
    shake(server, client)
    Authority(twin.folder, clock).write_crls()
    server.load_verify_locations(twin.trust_folder / "uzi.crl.pem")
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate revoked"):
        shake(server, client)


def test_lists_are_numbered_and_dated_upwards_and_not_from_the_future(authority: Authority, seed: Seed, tmp_path: Path) -> None:
    moment = datetime.now(UTC).replace(microsecond=0)
    stopped = Authority(authority.folder, StandingClock(moment))
    issued = stopped.issue(seed.party("thuiszorg-vliet"), folder=tmp_path / "leaf")
    lists = [crl(stopped)]
    for step in (stopped.revoke, stopped.unrevoke, stopped.revoke):
        step(issued.serial)
        lists.append(crl(stopped))
    for before, after in pairwise(lists):
        assert number(after) == number(before) + 1
        assert after.last_update_utc > before.last_update_utc
    assert lists[-1].last_update_utc < moment
    assert lists[-1].next_update_utc == moment + timedelta(days=7)


def test_a_clock_put_back_still_gives_later_lists(authority: Authority) -> None:
    before = crl(authority)
    Authority(authority.folder, StandingClock(datetime.now(UTC) - timedelta(days=30))).write_crls()
    assert crl(authority).last_update_utc > before.last_update_utc


def test_every_authority_has_a_list_and_all_are_signed_anew(authority: Authority) -> None:
    authority.write_crls(next_update_days=30)
    for name in ("root", *ISSUERS):
        path = authority.trust_folder / ("root.pem" if name == "root" else f"issuing-{name}.pem")
        issuer = x509.load_pem_x509_certificate(path.read_bytes())
        made = crl(authority, name)
        assert made.is_signature_valid(issuer.public_key())  # type: ignore[arg-type] # P-256
        assert made.next_update_utc is not None
        assert made.next_update_utc - datetime.now(UTC) > timedelta(days=29)


def test_a_revocation_keeps_the_period_for_which_lists_hold(authority: Authority, seed: Seed, tmp_path: Path) -> None:
    moment = datetime.now(UTC).replace(microsecond=0)
    stopped = Authority(authority.folder, StandingClock(moment))
    issued = stopped.issue(seed.party("ciz"), folder=tmp_path / "leaf")
    stopped.write_crls(next_update_days=30)
    stopped.revoke(issued.serial)
    assert crl(stopped).next_update_utc == moment + timedelta(days=30)


def test_expired_lists_let_nobody_in(authority: Authority, seed: Seed, tmp_path: Path) -> None:
    issued = authority.issue(seed.party("ciz"), folder=tmp_path / "leaf")
    authority.write_crls(next_update_days=-0.01)
    assert "error 12 at 0 depth lookup: CRL has expired" in verify(authority, issued)


def test_expired_and_future_certificates_can_be_made(authority: Authority, seed: Seed, tmp_path: Path) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    past = authority.issue(
        seed.party("ciz"), folder=tmp_path, name="past", not_before=now - timedelta(days=2), not_after=now - timedelta(days=1)
    )
    future = authority.issue(seed.party("ciz"), folder=tmp_path, name="future", not_before=now + timedelta(days=1))
    assert past.not_after == now - timedelta(days=1)
    assert "certificate has expired" in verify(authority, past)
    assert "certificate is not yet valid" in verify(authority, future)


def test_a_ca_name_is_refused_for_a_party_whatever_the_case(authority: Authority, seed: Seed, tmp_path: Path) -> None:
    for name in (ROOT_NAME, *ISSUERS.values()):
        with pytest.raises(PkiError, match="party ciz has the name of a CA"):
            authority.issue(replace(seed.party("ciz"), name=name.upper()), folder=tmp_path / "leaf")
    assert authority.index() == []


def test_the_index_tells_what_was_issued_and_revoked(authority: Authority, seed: Seed, tmp_path: Path) -> None:
    first = authority.issue(seed.party("ciz"), folder=tmp_path, name="first", days=10)
    second = authority.issue(seed.party("zorgsoft"), folder=tmp_path, name="second")
    authority.revoke(second.serial)
    entries = Authority(authority.folder).index()
    assert [(entry.serial, entry.party, entry.kind) for entry in entries] == [
        (first.serial, "ciz", "pkioverheid"),
        (second.serial, "zorgsoft", "vecozo"),
    ]
    assert entries[0].not_after == first.not_after
    assert entries[1].thumbprint == second.thumbprint
    assert (entries[0].revoked, entries[0].reason) == (None, None)
    assert entries[1].revoked is not None
    assert entries[1].reason == "certificateHold"


def test_rotation_gives_a_new_key_for_the_same_names_and_revokes_only_on_request(
    authority: Authority, seed: Seed, tmp_path: Path
) -> None:
    folder = tmp_path / "leaf"
    old = authority.issue(seed.party("ciz"), folder=folder, dns=("addressing",), key_type="rsa2048")
    old_key = old.key.read_bytes()
    kept = authority.rotate(seed.party("ciz"), folder=folder)
    assert (kept.certificate, kept.key) == (old.certificate, old.key)
    assert kept.key.read_bytes() != old_key
    leaf = x509.load_pem_x509_certificate(kept.certificate.read_bytes())
    assert leaf.serial_number == kept.serial != old.serial
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["addressing"]
    assert isinstance(leaf.public_key(), rsa.RSAPublicKey)
    assert len(crl(authority, "pkioverheid")) == 0
    authority.revoke(kept.serial)
    last = authority.rotate(seed.party("ciz"), folder=folder, revoke=True)
    assert [entry.serial_number for entry in crl(authority, "pkioverheid")] == [kept.serial]
    assert verify(authority, last).endswith("OK\n")
    with pytest.raises(PkiError, match="revoked for good"):
        authority.unrevoke(kept.serial)


def test_rotation_needs_a_certificate(authority: Authority, seed: Seed, tmp_path: Path) -> None:
    with pytest.raises(PkiError, match="no certificate to replace"):
        authority.rotate(seed.party("ciz"), folder=tmp_path)


def test_what_was_superseded_stays_so_when_revoked_again(authority: Authority, seed: Seed, tmp_path: Path) -> None:
    issued = authority.issue(seed.party("ciz"), folder=tmp_path / "leaf")
    authority.revoke(issued.serial, SUPERSEDED)
    authority.revoke(issued.serial)
    assert authority.index()[0].reason == "superseded"


@pytest.mark.parametrize("step", ["revoke", "unrevoke"])
def test_an_unknown_serial_is_named(authority: Authority, step: str) -> None:
    with pytest.raises(PkiError, match="no certificate with serial ff was issued here"):
        getattr(authority, step)(255)


def test_create_twice_changes_nothing(authority: Authority) -> None:
    before = {path: path.read_bytes() for path in authority.folder.rglob("*") if path.is_file()}
    authority.create()
    assert {path: path.read_bytes() for path in authority.folder.rglob("*") if path.is_file()} == before


def test_private_keys_are_for_their_owner_and_none_is_in_the_trust_folder(authority: Authority, seed: Seed, tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        issued = authority.issue(seed.party("ciz"), folder=tmp_path / "leaf")
    finally:
        os.umask(umask)
    for path in (issued.key, *authority.folder.glob("*.key")):
        assert path.stat().st_mode & 0o777 == 0o600
    assert len(list(authority.folder.glob("*.key"))) == 4
    assert sorted(path.name for path in authority.trust_folder.iterdir()) == [
        "issuing-pkioverheid.pem", "issuing-uzi.pem", "issuing-vecozo.pem", "pkioverheid.crl.pem",
        "root.crl.pem", "root.pem", "uzi.crl.pem", "vecozo.crl.pem",
    ]  # fmt: skip
    assert not any(b"PRIVATE" in path.read_bytes() for path in authority.trust_folder.iterdir())


def test_an_absent_pki_says_how_to_make_one(tmp_path: Path) -> None:
    for step in (Authority(tmp_path).open, Authority(tmp_path).index, Authority(tmp_path).write_crls):
        with pytest.raises(PkiError, match=r"there is no PKI in .*: run `proeftuin up`"):
            step()


@pytest.mark.parametrize("lost", ["root.key", "uzi.key", "issued.json", "trust/issuing-uzi.pem", "trust/vecozo.crl.pem"])
def test_a_folder_that_lacks_a_file_says_which_and_the_way_out(authority: Authority, lost: str) -> None:
    (authority.folder / lost).unlink()
    for step in (authority.open, authority.create, authority.write_crls):
        with pytest.raises(PkiError, match=f"incomplete, it lacks {lost}: run `proeftuin reset`"):
            step()


@pytest.mark.parametrize("damaged", ["issued.json", "uzi.key", "trust/issuing-uzi.pem"])
def test_a_damaged_file_says_the_way_out(authority: Authority, seed: Seed, tmp_path: Path, damaged: str) -> None:
    (authority.folder / damaged).write_text("{")
    with pytest.raises(PkiError, match="damaged: run `proeftuin reset`"):
        authority.issue(seed.party("ziekenhuis-de-linde"), folder=tmp_path / "leaf")


KILL = """
import os, signal, sys
from pathlib import Path
from proeftuin import parties
from proeftuin.pki import files
from proeftuin.pki.authority import Authority
steps, script = int(sys.argv[1]), sys.argv[2]
def stop(event):
    global steps
    if event in {"os.rename", "os.symlink"}:
        steps -= 1
        if steps < 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(lambda name, arguments: stop(name))
authority, party = Authority(Path(sys.argv[3])), parties.Party("p", "P", "cak", kvk="90990999")
exec(script)
"""


def killed(steps: int, script: str, folder: Path) -> bool:
    """Run `script` and kill the process, without warning, at its n-th rename or link; tell whether it came that far."""
    done = subprocess.run([sys.executable, "-c", KILL, str(steps), script, str(folder)], check=False, cwd=Path(__file__).parents[3])
    assert done.returncode in {0, -9}
    return done.returncode == -9


@pytest.mark.parametrize("steps", [0, 5, 12, 13, 14])
def test_a_kill_while_it_is_made_leaves_nothing_or_all(tmp_path: Path, steps: int) -> None:
    folder = tmp_path / "pki"
    came = killed(steps, "authority.create()", folder)
    assert came == (not folder.exists())
    Authority(folder).create()
    Authority(folder).open()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".pki.lock", "pki"]


@pytest.mark.parametrize("steps", range(6))
def test_a_kill_while_a_certificate_is_replaced_leaves_a_pair_that_fits(
    authority: Authority, seed: Seed, tmp_path: Path, steps: int
) -> None:
    folder = tmp_path / "leaf"
    old = authority.issue(seed.party("ciz"), folder=folder)
    killed(steps, f"authority.rotate(party, folder=Path({str(folder)!r}), revoke=False)", authority.folder)
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(old.certificate, old.key)  # raises when they do not fit
    serial = x509.load_pem_x509_certificate(old.certificate.read_bytes()).serial_number
    assert serial in {entry.serial for entry in authority.index()}
    assert verify(authority, authority.rotate(seed.party("ciz"), folder=folder)).endswith("OK\n")


@pytest.mark.parametrize("steps", range(6))
def test_a_kill_while_revoking_is_mended_by_the_next_list(authority: Authority, seed: Seed, tmp_path: Path, steps: int) -> None:
    issued = authority.issue(seed.party("ziekenhuis-de-linde"), folder=tmp_path / "leaf")
    killed(steps, f"authority.revoke({issued.serial})", authority.folder)
    authority.write_crls()
    revoked = authority.index()[0].revoked is not None
    assert revoked == (steps > 0)
    assert ("certificate revoked" in verify(authority, issued)) == revoked


def test_only_the_present_and_the_previous_version_of_a_pair_stay(authority: Authority, seed: Seed, tmp_path: Path) -> None:
    folder = tmp_path / "leaf"
    authority.issue(seed.party("ciz"), folder=folder)
    for _ in range(3):
        authority.rotate(seed.party("ciz"), folder=folder)
    assert len([path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()]) == 2


def test_processes_that_issue_at_once_lose_no_entry(authority: Authority) -> None:
    script = "for n in range(8): authority.issue(party, folder=authority.folder.parent / str(os.getpid()), name=str(n))"
    command = [sys.executable, "-c", KILL, "100000", script, str(authority.folder)]
    running = [subprocess.Popen(command, cwd=Path(__file__).parents[3]) for _ in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]
    assert len({entry.serial for entry in authority.index()}) == 24
