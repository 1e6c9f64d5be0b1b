"""Who acts for a client of care at a service: the client, or a representative of now (proeftuin.representation has the rules)."""

from proeftuin.parties import Seed
from proeftuin.reasons import REPRESENTATION, SUBJECT_MISMATCH, Refused
from proeftuin.representation import Standing
from proeftuin.tenant import Tenant


def standing_of(seed: Seed, tenant: Tenant, patient: str, acting: str) -> Standing:
    """Return how `acting` (BSN) may decide for `patient` (BSN) today; raises Refused.

    SUBJECT_MISMATCH when this is another than the client and no representative, REPRESENTATION when age or kind forbids it.
    """
    client = seed.client(patient)
    if client is None:
        if acting != patient:
            raise Refused(SUBJECT_MISMATCH, "this is for the client alone")
        return Standing.ALONE
    found = client.standing(acting, tenant.clock.now().date())
    if found is None:
        if acting != patient and all(each.bsn != acting for each in client.representatives):
            raise Refused(SUBJECT_MISMATCH, "this is for the client, or a representative")
        raise Refused(REPRESENTATION, "this person may not act for the client")
    return found
