"""The exchange as curl commands for sh, made for this sandbox: nothing but curl, the certificate and the text itself is needed."""

import json

from proeftuin import pseudonym
from proeftuin.identifiers import BSN_SYSTEM, URA_SYSTEM
from proeftuin.sandbox.care_system import LIST_SUBJECT, NVI_SCOPE
from proeftuin.sandbox.exchange import ALL_SCOPES, cast
from proeftuin.sandbox.home import Home


def script(home: Home) -> str:
    """Return the commands; the blinding, which curl cannot do, is done here for the client of the demonstration."""
    parts = cast(home.seed)
    network = home.topology.network
    folder = home.party_folder(parts.hospital.id)
    blinded = pseudonym.blind(pseudonym.derive(parts.client, parts.recipient, NVI_SCOPE))
    evaluate = json.dumps(
        {
            "blinded_input": pseudonym.encode(blinded.blinded_input),
            "recipient_organization": parts.recipient,
            "recipient_scope": NVI_SCOPE,
        }
    )
    details = json.dumps(
        [{"type": "client_data", "patient": {"system": BSN_SYSTEM, "value": parts.client}, "purpose_of_use": "TREAT"}]
    )
    client_id = parts.hospital.client_id
    lookup = f"{network.addressing}/fhir/Organization?identifier={URA_SYSTEM}%7C{parts.holder.ura}&_include=Organization:endpoint"
    return f"""\
# 1. who are you: the hospital's certificate; where is the network: addressing
C="curl -sS --cert {folder}/certificate.pem --key {folder}/certificate.key --cacert {home.ca_bundle}"
field() {{ sed -n "s/.*\\"$1\\":\\"\\([^\\"]*\\)\\".*/\\1/p"; }}
$C '{network.addressing}/fhir/Endpoint?_count=100' | head -c 400; echo

# 2. the nurse logs in (test login)
ID_TOKEN=$($C {network.identity_professionals}/login -d client_id={client_id} -d professional={parts.nurse} | field id_token)

# 3. where is the client's data: evaluate the blinded pseudonym, then localize
TOKEN=$($C {network.issuer}/token -d grant_type=client_credentials -d client_id={client_id} -d scope=prs:read \\
  -d resource={network.pseudonymisation} | field access_token)
EVALUATED=$($C {network.pseudonymisation}/evaluate -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \\
  -d '{evaluate}' | field evaluated_output)
SUBJECT=$(printf '{{"evaluated_output":"%s","blind_factor":"{pseudonym.encode(blinded.blind_factor)}"}}' "$EVALUATED" \\
  | base64 | tr -d '\\n=' | tr '+/' '-_')
TOKEN=$($C {network.issuer}/token -d grant_type=client_credentials -d client_id={client_id} -d scope=nvi:localize \\
  -d resource={network.localization} | field access_token)
$C {network.localization}/fhir/List/_search -H "Authorization: Bearer $TOKEN" \\
  --data-urlencode "subject:identifier={LIST_SUBJECT}|$SUBJECT" -d code=Condition; echo

# 4. look the holder up, with its endpoints
$C '{lookup}'; echo

# 5. a token for one client, these scopes, five minutes
TOKEN=$($C {home.topology.issuer(parts.holder.id)}/token -d grant_type=client_credentials -d client_id={client_id} \\
  --data-urlencode 'scope={ALL_SCOPES}' -d resource={home.topology.datastation(parts.holder.id)} \\
  --data-urlencode 'authorization_details={details}' -d "id_token=$ID_TOKEN" | field access_token)

# 6. the data
$C {home.topology.datastation(parts.holder.id)}/fhir/MedicationRequest -H "Authorization: Bearer $TOKEN"; echo
$C {home.topology.datastation(parts.holder.id)}/fhir/CarePlan -H "Authorization: Bearer $TOKEN"; echo
"""
