"""A real TLS 1.3 handshake in memory, both ends by Python's ssl."""

import ssl
from pathlib import Path

from proeftuin.pki.authority import Issued


def context(issued: Issued, trust: list[Path], *, server: bool) -> ssl.SSLContext:
    """Return a context that shows `issued`, trusts the files in `trust` in that order, and checks the leaf's revocation list."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.load_cert_chain(issued.certificate, issued.key)
    for path in trust:
        made.load_verify_locations(path)
    made.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF
    made.verify_mode = ssl.CERT_REQUIRED
    return made


def shake(server: ssl.SSLContext, client: ssl.SSLContext, name: str = "localhost") -> bytes:
    """Return the DER of the client's certificate as the server verified it; raises what either end raises."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    at_server = server.wrap_bio(to_server, to_client, server_side=True)
    at_client = client.wrap_bio(to_client, to_server, server_hostname=name)
    for _ in range(3):
        for end in (at_client, at_server):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    der = at_server.getpeercert(binary_form=True)
    assert der is not None
    return der
