/** A real OpenID provider for the tests: node provider.mjs MODULES PORT PAGE_URL AUDIENCE SECONDS */

import { createServer } from 'node:http';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { pathToFileURL } from 'node:url';

const [modules, port, page, audience, seconds] = process.argv.slice(2);
const { Provider } = await import(pathToFileURL(`${modules}/oidc-provider/lib/index.js`));
const issuer = `http://127.0.0.1:${port}`;
const roles = new Map();
const counts = { token: 0, refreshed: 0 };
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const key = { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), alg: 'RS256', use: 'sig' };

const provider = new Provider(issuer, {
  jwks: { keys: [key] },
  clients: [
    {
      client_id: 'page',
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      redirect_uris: [page],
      post_logout_redirect_uris: [page],
    },
  ],
  cookies: { keys: [randomUUID()] },
  clientBasedCORS: () => true,
  issueRefreshToken: () => true,
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, name: id }) }),
  claims: { openid: ['sub'], profile: ['name'] },
  conformIdTokenClaims: false,
  extraTokenClaims: (_, token) => ({ roles: roles.get(token.accountId) ?? ['user'] }),
  ttl: { AccessToken: Number(seconds), RefreshToken: 3600, Session: 3600, Grant: 3600, IdToken: 3600, Interaction: 600 },
  features: {
    devInteractions: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => audience,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: 'openid profile offline_access',
        audience,
        accessTokenFormat: 'jwt',
        accessTokenTTL: Number(seconds),
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
});
provider.on('grant.success', ({ oidc }) => {
  counts.token += 1;
  if (oidc.params.grant_type === 'refresh_token') counts.refreshed += 1;
});

createServer((request, response) => {
  const url = new URL(request.url, issuer);
  if (url.pathname === '/control/roles') {
    roles.set(url.searchParams.get('who'), url.searchParams.getAll('role'));
    response.end('{}');
  } else if (url.pathname === '/control/counts') {
    response.end(JSON.stringify(counts));
  } else {
    if (url.pathname === '/.well-known/openid-configuration') {
      // As with some providers, tokens come from another host; both names are of one length.
      const end = response.end.bind(response);
      response.end = (body) => end(String(body).replace(`"${issuer}/token"`, `"http://localhost:${port}/token"`));
    }
    provider.callback()(request, response);
  }
}).listen(Number(port), '127.0.0.1');
