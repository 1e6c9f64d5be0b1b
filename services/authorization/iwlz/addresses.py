"""From where a certificate may be used: the addresses that its owner registered, as data beside the policies."""

from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from proeftuin.access.admission import Admission
from proeftuin.reasons import ADDRESS_UNREGISTERED, Refused


class Addresses:
    """The entries of addresses.toml: `{client_id: [network]}`."""

    def __init__(self, read: Callable[[], Mapping[str, Sequence[str]]]) -> None:
        self._read = read

    def check(self, admission: Admission) -> None:
        """Raise Refused(ADDRESS_UNREGISTERED) for a client that registered addresses and calls from another."""
        registered = self._read().get(admission.peer.client_id)
        if registered is None:
            return
        client = admission.request.client
        if client is None or not any(_address(client.host) in ip_network(each) for each in registered):
            raise Refused(ADDRESS_UNREGISTERED, "the address of this connection is not registered with the certificate")


def _address(host: str) -> IPv4Address | IPv6Address:
    """Return an address, of IPv4 also where a socket for both families tells it as one of IPv6."""
    address = ip_address(host)
    return getattr(address, "ipv4_mapped", None) or address
