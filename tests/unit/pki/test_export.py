"""The PKCS#12 export: what a vendor's own client loads."""

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import pkcs12

from proeftuin.parties import Seed
from proeftuin.pki.authority import Authority, PkiError
from proeftuin.pki.export import export_pkcs12


def test_the_export_has_leaf_key_and_chain_and_opens_with_its_passphrase_alone(
    authority: Authority, seed: Seed, tmp_path: Path
) -> None:
    issued = authority.issue(seed.party("zorgsoft"), folder=tmp_path / "leaf")
    root = authority.trust_folder / "root.pem"
    path = export_pkcs12(issued.certificate, issued.key, tmp_path / "client.p12", "geheim", root)
    assert path.stat().st_mode & 0o777 == 0o600
    content = pkcs12.load_pkcs12(path.read_bytes(), b"geheim")
    assert content.cert is not None
    assert content.cert.certificate.serial_number == issued.serial
    assert content.cert.friendly_name == b"Zorgsoft"
    assert len(content.additional_certs) == 2
    command = ["openssl", "pkcs12", "-in", str(path), "-nokeys", "-passin"]
    shown = subprocess.run([*command, "pass:geheim"], capture_output=True, text=True, check=True).stdout
    assert shown.count("BEGIN CERTIFICATE") == 3
    assert subprocess.run([*command, "pass:anders"], capture_output=True, check=False).returncode != 0


def test_a_passphrase_is_required(authority: Authority, seed: Seed, tmp_path: Path) -> None:
    issued = authority.issue(seed.party("zorgsoft"), folder=tmp_path / "leaf")
    with pytest.raises(PkiError, match="give it a passphrase"):
        export_pkcs12(issued.certificate, issued.key, tmp_path / "client.p12", "")


def test_files_that_are_no_certificate_are_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    with pytest.raises(PkiError, match=r"cannot export .*a"):
        export_pkcs12(tmp_path / "a", tmp_path / "a", tmp_path / "client.p12", "geheim")
    assert not (tmp_path / "client.p12").exists()
