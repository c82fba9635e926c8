/**
 * Sign-in at an OpenID Connect provider, by authorization code with PKCE.
 *
 * The access token is kept in memory only. The refresh token is kept in the tab's session storage, so that a reload
 * does not sign out, and closing the tab does. Only this client can use it, and a provider that rotates it detects
 * copies.
 */

import * as oauth from '../../vendor/oauth4webapi-3.8.8.js';

const KEY = 'queued-jobs.oidc';
const PENDING = 'queued-jobs.oidc.pending';
const BROUGHT = 'queued-jobs.oidc.answer';
/** The share of a token's lifetime after which it is renewed. */
const USED = 0.75;
/** Milliseconds for a response of the provider. */
const WITHIN = 10_000;
const BUSY = ['temporarily_unavailable', 'server_error'];
const LOOPBACK = /^(localhost|127\.0\.0\.1|\[::1\])$/;

/** Another page is about to take over. */
let leaving = false;

/**
 * The provider's response in the URL, which is removed immediately: neither history nor screenshots should contain it.
 * Providers redirect to one URL only, so users who began on another page are sent back there, with the response.
 */
function takeAnswer() {
  const url = new URL(location.href);
  if (!url.searchParams.has('state') || !(url.searchParams.has('code') || url.searchParams.has('error'))) {
    const brought = stored(BROUGHT);
    sessionStorage.removeItem(BROUGHT);
    return brought && new URL(brought);
  }
  const began = new URL(stored(PENDING)?.page ?? '', location.href);
  leaving = began.pathname !== location.pathname && began.href.startsWith(home());
  if (leaving) {
    sessionStorage.setItem(BROUGHT, JSON.stringify(url));
    location.replace(began);
    return null;
  }
  history.replaceState(history.state, '', location.pathname + location.hash);
  return url;
}

let answer = takeAnswer();

/** A `Session` of types.d.ts. */
export class OidcSession {
  state = 'checking';
  /** Why signing in failed. @type {{status: number, detail: string}|null} */
  error = null;

  #config;
  #client;
  // A provider that never responds must not keep every call to the API waiting.
  #options = { signal: () => AbortSignal.timeout(WITHIN) };
  #server = null;
  #data = null;
  #token = null;
  #renewAt = 0;
  #endsAt = 0;
  #refusedAt = 0;
  #renewing = null;
  #listeners = new Set();
  #channel = new BroadcastChannel(KEY);

  /** @param {{issuer: string, clientId: string, scope: string, parameters: Record<string, string>}} config */
  constructor(config) {
    this.#config = config;
    this.#client = { client_id: config.clientId };
    if (LOOPBACK.test(new URL(config.issuer).hostname)) this.#options[oauth.allowInsecureRequests] = true;
    this.#channel.onmessage = () => this.#forget('needed');
  }

  get user() {
    return this.#data?.user ?? null;
  }

  get token() {
    return this.#token;
  }

  subscribe(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Complete a sign-in after the provider's redirect, or continue the session of this tab. */
  async start() {
    this.#become('checking');
    if (leaving) return;
    const url = answer;
    answer = null;
    try {
      this.#server ??= await this.#discover();
      if (url) await this.#redeem(url);
      else if ((this.#data = stored(KEY))) await this.#renew();
      else this.#become('needed');
    } catch (error) {
      this.error = { status: error.status ?? 0, detail: error.error_description ?? '' };
      this.#become('failed');
    }
  }

  /** Go to the provider. */
  async signIn() {
    const verifier = oauth.generateRandomCodeVerifier();
    const pending = {
      verifier,
      state: oauth.generateRandomState(),
      nonce: oauth.generateRandomNonce(),
      page: location.pathname + location.search + location.hash,
    };
    sessionStorage.setItem(PENDING, JSON.stringify(pending));
    const url = new URL(this.#server.authorization_endpoint);
    const query = {
      client_id: this.#config.clientId,
      redirect_uri: home(),
      response_type: 'code',
      scope: this.#config.scope,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      state: pending.state,
      nonce: pending.nonce,
      ...this.#config.parameters,
    };
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    location.assign(url);
  }

  /** End the session here, in the other tabs and at the provider. */
  signOut() {
    const hint = this.#data?.idToken;
    this.#forget('needed');
    this.#channel.postMessage('signed-out');
    if (!this.#server?.end_session_endpoint) return;
    const url = new URL(this.#server.end_session_endpoint);
    url.searchParams.set('client_id', this.#config.clientId);
    url.searchParams.set('post_logout_redirect_uri', home());
    if (hint) url.searchParams.set('id_token_hint', hint);
    location.assign(url);
  }

  /** The token to send, renewed if it is about to expire; null if signed out. */
  async getToken() {
    if (this.#data && (!this.#token || Date.now() > this.#renewAt)) {
      // While the provider is unavailable, the token is used until it expires.
      await this.#renew().catch((error) => { if (!this.#token || Date.now() > this.#endsAt) throw error; });
    }
    return this.#token;
  }

  /** The server rejected this token: get another one, or sign in again. @param {string|null} token */
  async refuse(token) {
    if (!token || token !== this.#token) return;
    this.#token = null;
    // A replacement that is rejected too: the provider's tokens are not accepted here.
    if (Date.now() - this.#refusedAt < 60_000) return this.#forget('ended');
    this.#refusedAt = Date.now();
    while (this.#data && !this.#token) await this.#renew().catch(() => new Promise((wait) => setTimeout(wait, 5000)));
    if (!this.#token) return;
    this.#become('signed-in');
  }

  async #discover() {
    const issuer = new URL(this.#config.issuer);
    const response = await oauth.discoveryRequest(issuer, { ...this.#options });
    return oauth.processDiscoveryResponse(issuer, response);
  }

  async #redeem(url) {
    const pending = stored(PENDING);
    sessionStorage.removeItem(PENDING);
    // A response that this tab did not request, such as a reloaded or a forged one.
    if (!pending) return this.#become('needed');
    const parameters = oauth.validateAuthResponse(this.#server, this.#client, url, pending.state);
    const none = oauth.None();
    const response = await oauth.authorizationCodeGrantRequest(
      this.#server, this.#client, none, parameters, home(), pending.verifier, this.#options,
    );
    const options = { expectedNonce: pending.nonce, requireIdToken: true };
    const tokens = await oauth.processAuthorizationCodeResponse(this.#server, this.#client, response, options);
    const claims = oauth.getValidatedIdTokenClaims(tokens);
    const display = [claims.name, claims.preferred_username, claims.email].find((name) => typeof name === 'string');
    this.#data = { user: { id: claims.sub, display: display ?? claims.sub, roles: [] } };
    this.#accept(tokens);
  }

  #renew() {
    this.#renewing ??= this.#renewOnce().finally(() => (this.#renewing = null));
    return this.#renewing;
  }

  async #renewOnce() {
    const { refreshToken } = this.#data ?? {};
    if (!refreshToken) return this.#forget('ended');
    try {
      const none = oauth.None();
      const response = await oauth.refreshTokenGrantRequest(
        this.#server, this.#client, none, refreshToken, this.#options,
      );
      const tokens = await oauth.processRefreshTokenResponse(this.#server, this.#client, response);
      // Signed out in the meantime.
      if (this.#data?.refreshToken === refreshToken) this.#accept(tokens);
    } catch (error) {
      // Only a rejection by the provider ends a session; a network failure or a busy provider does not.
      const rejected = error instanceof oauth.ResponseBodyError && error.status !== 429 && !BUSY.includes(error.error);
      if (rejected) this.#forget('ended');
      else throw error;
    }
  }

  #accept(tokens) {
    this.#token = tokens.access_token;
    this.#endsAt = Date.now() + (tokens.expires_in ?? 300) * 1000;
    this.#renewAt = Date.now() + (tokens.expires_in ?? 300) * 1000 * USED;
    this.#data.refreshToken = tokens.refresh_token ?? this.#data.refreshToken;
    this.#data.idToken = tokens.id_token ?? this.#data.idToken;
    sessionStorage.setItem(KEY, JSON.stringify(this.#data));
    if (this.state !== 'signed-in') this.#become('signed-in');
  }

  #forget(state) {
    sessionStorage.removeItem(KEY);
    this.#data = this.#token = null;
    this.#become(state);
  }

  #become(state) {
    this.state = state;
    for (const listener of this.#listeners) listener();
  }
}

/** The redirect URI, the same for all pages. */
function home() {
  return new URL('./', location.href).href;
}

function stored(key) {
  try {
    return JSON.parse(sessionStorage.getItem(key));
  } catch {
    return null;
  }
}
