"""A certificate, its key and its chain in one PKCS#12 file (RFC 7292), for a vendor's own client or browser."""

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, load_pem_private_key, pkcs12

from proeftuin.pki import files
from proeftuin.pki.authority import PkiError


def export_pkcs12(certificate: Path, key: Path, destination: Path, passphrase: str, root: Path | None = None) -> Path:
    """Write `certificate` (PEM: leaf and issuing CA), `key` and, if given, `root` to `destination` (0600); return it.

    Raises PkiError for an empty passphrase, or files that are no certificate and key.
    """
    if not passphrase:
        raise PkiError("a PKCS#12 file holds a private key: give it a passphrase")
    try:
        leaf, *chain = x509.load_pem_x509_certificates(certificate.read_bytes())
        private_key = load_pem_private_key(key.read_bytes(), password=None)
        chain += x509.load_pem_x509_certificates(root.read_bytes()) if root else []
    except (OSError, ValueError) as error:
        raise PkiError(f"cannot export {certificate}: {error}") from error
    if not isinstance(private_key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise PkiError(f"cannot export {key}: not an EC or RSA key")
    name = str(leaf.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)
    encryption = BestAvailableEncryption(passphrase.encode())
    content = pkcs12.serialize_key_and_certificates(name.encode(), private_key, leaf, chain, encryption)
    files.write(destination, content, 0o600)
    return destination
