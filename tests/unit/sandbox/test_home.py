"""The sandbox folder follows the network file: what a certificate says is what stands there now."""

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12
from cryptography.x509.oid import NameOID

from proeftuin.sandbox.home import PASSPHRASE, Home
from tests.harness import PARTIES

MOVED, STAYED = "verpleeghuis-avondrood", "verpleeghuis-de-brink"
WHERE = {  # what stands where, for a party of the instances that host it
    "care system": "parties/{}/certificate.pem", "datastation": "instances/datastation-*/tenants/{}/certificate.pem",
    "wallet": "instances/wallet-*/tenants/{}/x509.pem",
}  # fmt: skip


def leaves(home: Home, party: str) -> dict[str, x509.Certificate]:
    paths = {name: next(home.path.glob(pattern.format(party))) for name, pattern in WHERE.items()}
    return {name: x509.load_pem_x509_certificate(path.read_bytes()) for name, path in paths.items()}


def place(leaf: x509.Certificate) -> str:
    return str(leaf.subject.get_attributes_for_oid(NameOID.LOCALITY_NAME)[0].value)


def test_a_certificate_that_says_something_else_than_the_network_file_is_issued_anew(tmp_path: Path) -> None:
    text = PARTIES.read_text()
    entry = text[text.index(f'id = "{MOVED}"') :].split("[[", 1)[0]
    without = tmp_path / "without.toml"
    without.write_text(text.replace(entry, "\n".join(line for line in entry.splitlines() if not line.startswith("city")) + "\n"))
    home = Home(tmp_path / "home")
    home.prepare(without, 27200)
    before, other = leaves(home, MOVED), leaves(home, STAYED)
    assert {place(leaf) for leaf in before.values()} == {"onbekend"}

    home.prepare(PARTIES, 27200)
    after = leaves(home, MOVED)
    assert {place(leaf) for leaf in after.values()} == {"Lindenburg"}
    assert leaves(home, STAYED) == other, "what still says the same stays"
    bundle = load_pkcs12((home.party_folder(MOVED) / "client.p12").read_bytes(), PASSPHRASE.encode())
    assert bundle.cert is not None
    assert bundle.cert.certificate == after["care system"]
    assert home.register_client(MOVED)["jwks"]["keys"] == [home.certificate_jwk(MOVED)], "the registered key follows"

    home.prepare(PARTIES, 27200)
    assert leaves(home, MOVED) == after
