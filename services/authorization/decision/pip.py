"""The information point: what only the bemiddelingsregister knows, asked as VECOZO's decision point does."""

import json

from proeftuin.transport.client import PeerClient, Unreachable
from services.authorization.decision.iwlz import Unanswered

_CLAIMS = {
    "instantie_type": "Onderneming",
    "instantie_naam": "VECOZO",
    "scopes": ["registers/wlzbemiddelingsregister/bemiddelingen/bemiddeling:read"],
}
_INSTELLING = """query Instelling($indicatie: UUID, $wie: String) {
  bemiddeling(where: {wlzIndicatieID: {eq: $indicatie}, bemiddelingspecificatie: {%s: {instelling: {eq: $wie}}}}) { wlzIndicatieID }
}"""
_ZORGKANTOOR = """query Zorgkantoor($indicatie: UUID, $wie: String) {
  bemiddeling(where: {
    wlzIndicatieID: {eq: $indicatie}, verantwoordelijkZorgkantoor: {neq: $wie},
    or: [
      {bemiddelingspecificatie: {some: {uitvoerendZorgkantoor: {eq: $wie}}}}
      {overdracht: {verantwoordelijkZorgkantoor: {eq: $wie}}}
    ]
  }) { wlzIndicatieID }
}"""


class Bemiddelingsregister:
    """Asks the register at `url`, over the certificate of `client`; without a `url` nothing is answered.

    The calls are not events of their own: that of the decision tells which rules asked.
    """

    def __init__(self, client: PeerClient, url: str) -> None:
        self._client, self._url = client, url

    async def involved(self, relation: str, wlz_indicatie: str, identifier: str, quantifier: str) -> bool:
        """Tell whether the register lists `identifier` under this indicatie; raises Unanswered."""
        if not self._url:
            raise Unanswered("No bemiddelingsregister is connected to this decision point.")
        query = _INSTELLING.replace("%s", "all" if quantifier == "all" else "some") if relation == "instelling" else _ZORGKANTOOR
        content = {"query": query, "variables": {"indicatie": wlz_indicatie, "wie": identifier}}
        try:
            answer = await self._client.request("POST", self._url, headers={"claims": json.dumps(_CLAIMS)}, content=content)
            document = answer.json()
            found = document["data"]["bemiddeling"]
            if answer.status != 200 or document.get("errors") or not isinstance(found, list):
                raise Unanswered(f"The bemiddelingsregister answered {answer.status} with errors.")
        except (Unreachable, ValueError, KeyError, TypeError) as error:
            raise Unanswered(f"The bemiddelingsregister gave no answer: {type(error).__name__}.") from error
        return bool(found)
