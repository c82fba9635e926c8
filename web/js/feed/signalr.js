/** The vendored SignalR client, set up the way a bell needs it. */

import { restoreGlobals } from './isolate-globals.js';
import '../../vendor/signalr-10.0.11.min.js';

const { DefaultHttpClient, HttpTransportType, HubConnectionBuilder, LogLevel, NullLogger } = globalThis.signalR;
restoreGlobals();

/** The client hides the status of a failed negotiate in a text; this reads the response itself. */
class NegotiateWatch extends DefaultHttpClient {
  #url;
  #onRefused;

  constructor(url, onRefused) {
    super(NullLogger.instance);
    this.#url = url;
    this.#onRefused = onRefused;
  }

  async send(request) {
    try {
      return await super.send(request);
    } catch (error) {
      // The hub also rejects its own expired tokens; the next negotiate returns a new one.
      if ([401, 403].includes(error.statusCode) && request.url?.startsWith(this.#url)) this.#onRefused();
      throw error;
    }
  }
}

/**
 * Create a hub connection that is not started.
 * @param {import('../types.d.ts').HubOptions} options
 * @returns {import('../types.d.ts').Hub}
 */
export function openHub({ base, getToken, onRefused, handlers }) {
  let token = null;
  const hub = new HubConnectionBuilder()
    .withUrl(base, {
      accessTokenFactory: async () => (token = await getToken()),
      httpClient: new NegotiateWatch(`${base}/negotiate`, () => onRefused(token)),
      // Server-sent events stay open without receiving anything after their token has expired.
      transport: HttpTransportType.WebSockets | HttpTransportType.LongPolling,
      timeout: 15_000,
      withCredentials: false,
    })
    // The feed reports an outage once. The default level prints the socket address, and with it the access token.
    .configureLogging(LogLevel.None)
    .build();
  for (const [name, handler] of Object.entries(handlers)) hub.on(name, handler);
  return hub;
}
