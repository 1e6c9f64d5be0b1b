"""From what a caller sends to the pseudonym that is stored: open the sealed evaluation, unblind it, and key it once more."""

import hashlib
import hmac
from dataclasses import dataclass

from joserfc.jwk import RSAKey

from proeftuin import pseudonym
from proeftuin.clock import Clock
from proeftuin.reasons import PSEUDONYM_EXPIRED, PSEUDONYM_INVALID, Refused
from services.localization.store import Evaluation

SCOPE = "nationale-verwijsindex"


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """Opens what was sealed for `organization` with its private `key`; `index_key` keeps the stored form useless elsewhere."""

    organization: str
    key: RSAKey
    index_key: bytes
    clock: Clock

    def open(self, token: str) -> Evaluation:
        """Return the evaluation in a subject token; raises Refused(PSEUDONYM_INVALID or PSEUDONYM_EXPIRED)."""
        try:
            sealed, factor = pseudonym.decode_token(token)
            claims = pseudonym.open_sealed(sealed, self.key)
            if (claims.get("aud"), claims.get("scope")) != (self.organization, SCOPE):
                raise Refused(PSEUDONYM_INVALID, f"it was evaluated for another recipient than {self.organization}|{SCOPE}")
            expires = claims.get("exp")
            if type(expires) is not int:
                raise Refused(PSEUDONYM_INVALID, "the evaluated output has no exp")
            if self.clock.now().timestamp() >= expires:
                raise Refused(PSEUDONYM_EXPIRED, "the evaluated output is expired")
            unblinded = pseudonym.unblind(pseudonym.evaluated_point(claims), factor)
        except (ValueError, RecursionError) as error:
            raise Refused(PSEUDONYM_INVALID, f"the subject token: {str(error)[:120]}") from error
        stored = hmac.new(self.index_key, unblinded, hashlib.sha256).hexdigest()
        return Evaluation(stored, hashlib.sha256(sealed.encode()).hexdigest(), expires)

    def public_jwk(self) -> dict[str, object]:
        """Return the key under which evaluations for this register are sealed."""
        return dict(self.key.as_dict(private=False))
