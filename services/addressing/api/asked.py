"""What every request of the directory has in common: its base address, its parameters, and the moment of synchronisation."""

from datetime import timedelta
from urllib.parse import parse_qsl

from proeftuin.access.admission import Admission
from proeftuin.clock import instant
from proeftuin.fhir.search import Pairs
from proeftuin.reasons import PARAMETER_INVALID, Refused

OVERLAP = timedelta(seconds=5)  # longer than a transaction lives between taking its moment and its commit


def base_url(admission: Admission) -> str:
    """Return the FHIR base address."""
    return f"{admission.tenant.audience}/fhir"


def query(admission: Admission) -> str:
    """Return the query string, as it was sent."""
    raw: bytes = admission.request.scope["query_string"]
    return raw.decode("ascii", "replace")


def self_url(admission: Admission) -> str:
    """Return the absolute URL that was asked, under the public address of the directory."""
    asked = query(admission)
    return admission.tenant.audience + admission.request.url.path + (f"?{asked}" if asked else "")


def pairs(text: str) -> Pairs:
    """Return the decoded pairs of a query string or form; raises Refused PARAMETER_INVALID."""
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=100, errors="strict")
    except ValueError as error:
        raise Refused(PARAMETER_INVALID, "the parameters are not at most 100 pairs of urlencoded UTF-8") from error


def synchronised(admission: Admission) -> str:
    """Return T0 (ITI-90-NL): from here a replica asks the next delta. Take it before reading.

    It lies a little before the server's clock, so that a write which is being committed now is in that delta.
    """
    return instant(admission.tenant.clock.now() - OVERLAP)
