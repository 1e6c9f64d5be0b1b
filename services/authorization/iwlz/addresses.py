"""From where a certificate may be used: the addresses that its owner registered, as data beside the policies."""

from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv6Address, ip_address, ip_network

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
        address = ip_address(client.host if client else "")
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped  # as a socket for both families tells it
        if not any(address in ip_network(each) for each in registered):
            raise Refused(ADDRESS_UNREGISTERED, f"{address} is not registered with this certificate")
