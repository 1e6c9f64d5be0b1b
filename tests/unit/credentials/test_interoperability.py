"""Other implementations read what we sign, and sign what we read: joserfc, and node's own crypto where node is there."""

import base64
import json
import shutil
import subprocess
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwk, jws, jwt
from joserfc.jws import JWSRegistry

from proeftuin.credentials import credential, jose, presentation
from tests.unit.credentials.world import HOSPITAL, REGISTER, World

pytestmark = pytest.mark.anyio
_NODE = """
const crypto = require('crypto');
const {token, spki, alg} = JSON.parse(require('fs').readFileSync(0));
const [head, body, signature] = token.split('.');
const key = crypto.createPublicKey({key: Buffer.from(spki, 'base64'), format: 'der', type: 'spki'});
const options = alg === 'ES256' ? {key, dsaEncoding: 'ieee-p1363'}
  : {key, padding: crypto.constants.RSA_PKCS1_PSS_PADDING, saltLength: 32};
const ok = crypto.verify('sha256', Buffer.from(head + '.' + body), options, Buffer.from(signature, 'base64url'));
console.log(JSON.stringify({ok, claims: JSON.parse(Buffer.from(body, 'base64url'))}));
"""


def spki(key: jose.PublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def signed_by_us(world: World) -> list[tuple[str, str, jose.PublicKey]]:
    """A presentation (ES256) and an X509Credential (PS256), with the key of each."""
    raw = presentation.create(world.keys[HOSPITAL], world.did(HOSPITAL), [world.issue()], "aud", world.clock)
    own = world.keys[HOSPITAL]
    public = own.public_key(own.jwks()["keys"][0]["kid"])
    assert public is not None
    certificate: Any = world.chain()[0].public_key()
    return [(raw, "ES256", public), (world.x509_credential(), "PS256", certificate)]


def test_joserfc_verifies_what_we_sign(world: World) -> None:
    for raw, algorithm, key in signed_by_us(world):
        pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        imported = jwk.import_key(pem, "RSA" if algorithm == "PS256" else "EC")
        registry = JWSRegistry(algorithms=[algorithm])
        registry.max_header_length = registry.max_payload_length = 1 << 16  # a chain of certificates is larger than its defaults
        token = jwt.decode(raw, imported, registry=registry)
        assert token.header["typ"] == "JWT"
        assert token.claims == jose.read(raw).claims


async def test_we_verify_what_joserfc_signs(world: World) -> None:
    private = jwk.import_key(next((world.folder / REGISTER).glob("*.pem")).read_bytes(), "EC")
    document = world.document("HealthcareProviderRoleTypeCredential", {"id": world.did(HOSPITAL), "roleCodeNL": "V4"})
    kid = f"{world.did(REGISTER)}#{world.keys[REGISTER].jwks()['keys'][0]['kid']}"
    raw = jws.serialize_compact(
        {"alg": "ES256", "typ": "JWT", "kid": kid},
        json.dumps(credential.claims_of(document)).encode(),
        private,
        algorithms=["ES256"],
    )
    await world.verifier.credential(credential.read(raw))


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not there")
def test_node_verifies_what_we_sign(world: World) -> None:
    for raw, algorithm, key in signed_by_us(world):
        asked = json.dumps({"token": raw, "spki": base64.b64encode(spki(key)).decode(), "alg": algorithm})
        done = subprocess.run(["node", "-e", _NODE], input=asked, capture_output=True, text=True, check=True)
        answer = json.loads(done.stdout)
        assert answer["ok"] is True
        assert answer["claims"] == jose.read(raw).claims
