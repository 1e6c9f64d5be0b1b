// oidc-provider with the grant that ours is compared by: client credentials, tls_client_auth, a certificate-bound ES256 JWT for a resource.
import { readFileSync } from 'node:fs'
import https from 'node:https'
import { X509Certificate } from 'node:crypto'
import { Provider } from 'oidc-provider'
import * as jose from 'jose'

const parts = JSON.parse(process.argv[2])
const pair = await jose.generateKeyPair('ES256', { extractable: true })
const key = { ...(await jose.exportJWK(pair.privateKey)), kid: 'one', alg: 'ES256', use: 'sig' }
const issuer = `https://localhost:${parts.port}`
const provider = new Provider(issuer, {
  jwks: { keys: [key] },
  scopes: [parts.scope],
  clientAuthMethods: ['tls_client_auth'],
  clients: [{
    client_id: parts.client_id, token_endpoint_auth_method: 'tls_client_auth', tls_client_auth_subject_dn: 'the certificate is the client',
    grant_types: ['client_credentials'], redirect_uris: [], response_types: [], scope: parts.scope,
    tls_client_certificate_bound_access_tokens: true, id_token_signed_response_alg: 'ES256',
  }],
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    mTLS: {
      enabled: true, certificateBoundAccessTokens: true, tlsClientAuth: true,
      getCertificate: (ctx) => new X509Certificate(ctx.socket.getPeerCertificate(false).raw),
      certificateAuthorized: (ctx) => ctx.socket.authorized,
      certificateSubjectMatches: () => true,
    },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: () => ({ scope: parts.scope, accessTokenFormat: 'jwt', accessTokenTTL: 300, jwt: { sign: { alg: 'ES256' } } }),
    },
  },
})
const options = {
  key: readFileSync(parts.key), cert: readFileSync(parts.certificate), ca: parts.ca.map((path) => readFileSync(path)),
  requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3',
}
https.createServer(options, provider.callback()).listen(parts.port, '127.0.0.1', () => console.log('ready'))
