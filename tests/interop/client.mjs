// The OAuth client of a party, by openid-client: every standard door, over mTLS. Reads its parts as JSON, prints what it found as JSON.
import { readFileSync } from 'node:fs'
import * as jose from 'jose'
import * as oauth from 'openid-client'
import { Agent, fetch as undici } from 'undici'

const parts = JSON.parse(readFileSync(0, 'utf8'))
const pem = readFileSync(parts.key, 'utf8')
const dispatcher = new Agent({ connect: { cert: readFileSync(parts.certificate, 'utf8'), key: pem, ca: readFileSync(parts.ca, 'utf8') } })
const fetch = (url, options) => undici(url, { ...options, dispatcher })
const found = {}

async function server(issuer, authentication, algorithm = 'oauth2') {
  const options = { algorithm, [oauth.customFetch]: fetch }
  return oauth.discovery(new URL(issuer), parts.client_id, { id_token_signed_response_alg: 'ES256' }, authentication, options)
}

async function refused(work) {
  try {
    await work()
    return 'given'
  } catch (error) {
    return error.response?.headers.get('x-reason') ?? error.error ?? error.code ?? String(error)
  }
}

async function logIn(url) {  // what a browser does: open the page, choose, be sent back
  const page = await (await fetch(url)).text()
  const login = page.match(/name="login" value="([^"]+)"/)[1]
  const body = new URLSearchParams({ login, person: parts.person })
  const answer = await fetch(url, { method: 'POST', body, redirect: 'manual' })
  return new URL(answer.headers.get('location'))
}

async function code(config, url, verifier, dpop) {
  const checks = { pkceCodeVerifier: verifier, expectedState: 's', expectedNonce: 'n', idTokenExpected: true }
  return oauth.authorizationCodeGrant(config, await logIn(url), checks, {}, { DPoP: dpop })
}

async function verified(token, issuer, audience, jwks) {  // by jose, with the keys that the server publishes
  const keys = jose.createRemoteJWKSet(new URL(jwks), { [jose.customFetch]: fetch })
  return (await jose.jwtVerify(token, keys, { issuer, audience, typ: 'at+jwt', algorithms: ['ES256'] })).payload
}

const national = await server(parts.issuer, oauth.TlsClientAuth())
const asked = { scope: parts.scope, resource: parts.resource }

const byCertificate = await oauth.clientCredentialsGrant(national, asked)
found.certificate = await verified(byCertificate.access_token, parts.issuer, parts.resource, national.serverMetadata().jwks_uri)

const key = await jose.importPKCS8(pem, 'ES256')
const signing = await server(parts.issuer, oauth.PrivateKeyJwt({ key, kid: parts.kid }))
found.private_key_jwt = (await oauth.clientCredentialsGrant(signing, asked)).token_type

const pair = await oauth.randomDPoPKeyPair('ES256')
const dpop = oauth.getDPoPHandle(national, pair)
const byKey = await oauth.clientCredentialsGrant(national, asked, { DPoP: dpop })
found.dpop = (await verified(byKey.access_token, parts.issuer, parts.resource, national.serverMetadata().jwks_uri)).cnf.jkt
found.jkt = await jose.calculateJwkThumbprint(await jose.exportJWK(pair.publicKey))

const identity = await server(parts.identity, oauth.TlsClientAuth(), 'oidc')
oauth.enableNonRepudiationChecks(identity)
const verifier = oauth.randomPKCECodeVerifier()
const request = {
  redirect_uri: parts.redirect_uri, scope: 'openid', state: 's', nonce: 'n',
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
}
const loggedIn = await code(identity, oauth.buildAuthorizationUrl(identity, request), verifier)
found.id_token = loggedIn.claims()
found.userinfo = await oauth.fetchUserInfo(identity, loggedIn.access_token, loggedIn.claims().sub)

const handle = oauth.getDPoPHandle(identity, pair)
const pushed = await code(identity, await oauth.buildAuthorizationUrlWithPAR(identity, request), verifier, handle)
const seen = await oauth.fetchProtectedResource(
  identity, pushed.access_token, new URL(identity.serverMetadata().userinfo_endpoint), 'GET', null, undefined, { DPoP: handle })
found.pushed = [pushed.token_type, (await seen.json()).sub]

const back = await logIn(oauth.buildAuthorizationUrl(identity, request))
const checks = { pkceCodeVerifier: verifier, expectedState: 's', expectedNonce: 'n' }
await oauth.authorizationCodeGrant(identity, back, checks)
found.replayed = await refused(() => oauth.authorizationCodeGrant(identity, back, checks))
const other = await logIn(oauth.buildAuthorizationUrl(identity, request))
found.verifier = await refused(() => oauth.authorizationCodeGrant(identity, other, { ...checks, pkceCodeVerifier: 'w'.repeat(43) }))
const mixed = await logIn(oauth.buildAuthorizationUrl(identity, request))
mixed.searchParams.set('iss', parts.issuer)
found.mixed_up = await refused(() => oauth.authorizationCodeGrant(identity, mixed, checks))

const holder = await server(parts.holder, oauth.TlsClientAuth())
const records = await oauth.clientCredentialsGrant(holder, { ...parts.records, id_token: loggedIn.id_token })
const readUrl = new URL(parts.records.resource + '/fhir/Patient')
found.read = (await oauth.fetchProtectedResource(holder, records.access_token, readUrl, 'GET')).status
const exchanged = await oauth.genericGrantRequest(holder, 'urn:ietf:params:oauth:grant-type:token-exchange', {
  subject_token: records.access_token, subject_token_type: 'urn:ietf:params:oauth:token-type:access_token', scope: 'patient/Patient.rs',
})
found.exchanged = exchanged.scope
await oauth.tokenRevocation(holder, records.access_token)
found.revoked = await refused(async () => {
  const answer = await oauth.fetchProtectedResource(holder, exchanged.access_token, readUrl, 'GET')
  throw Object.assign(new Error(), { error: answer.headers.get('x-reason') })
})
found.bearer = await refused(async () => {
  const url = new URL(identity.serverMetadata().userinfo_endpoint)
  const answer = await fetch(url, { headers: { authorization: `Bearer ${pushed.access_token}` } })
  throw Object.assign(new Error(), { error: answer.headers.get('x-reason') })
})
console.log(JSON.stringify(found))
