// Real @microsoft/signalr clients, driven by JSON lines: commands on stdin, events on stdout.
// The browser's file is run as a browser runs it: in a context that has WebSocket and fetch, but no process and no
// require. (With `process` in sight the file takes itself for the Node build and asks for the packages ws, eventsource,
// tough-cookie and fetch-cookie.)
"use strict";

const fs = require("node:fs");
const readline = require("node:readline");
const vm = require("node:vm");

const page = {
  WebSocket,
  fetch,
  AbortController,
  URL,
  URLSearchParams,
  setTimeout,
  clearTimeout,
  setInterval,
  clearInterval,
  console,
};
page.self = page;
vm.runInNewContext(fs.readFileSync(process.argv[2], "utf8"), page);
const { signalR } = page;
const clients = new Map();

function say(event) {
  process.stdout.write(JSON.stringify(event) + "\n");
}

function build({ client, url, transport, bearer }) {
  const connection = new signalR.HubConnectionBuilder()
    .withUrl(url, {
      transport: signalR.HttpTransportType[transport],
      withCredentials: false,
      accessTokenFactory: () => bearer,
    })
    .withAutomaticReconnect({ nextRetryDelayInMilliseconds: () => 100 })
    .configureLogging(signalR.LogLevel.None)
    .build();
  connection.on("job", (...args) => say({ client, event: "job", arguments: args }));
  connection.onreconnecting((error) => say({ client, event: "reconnecting", error: error?.message }));
  connection.onreconnected((id) => say({ client, event: "reconnected", id }));
  connection.onclose((error) => say({ client, event: "closed", error: error?.message }));
  return connection;
}

const commands = {
  async start(command) {
    const connection = build(command);
    clients.set(command.client, connection);
    try {
      await connection.start();
      say({ client: command.client, event: "started", id: connection.connectionId });
    } catch (error) {
      say({ client: command.client, event: "refused", error: error.message });
    }
  },
  async stop({ client }) {
    await clients.get(client).stop();
    say({ client, event: "stopped" });
  },
  async forget() {
    await Promise.all([...clients.values()].map((connection) => connection.stop()));
    clients.clear();
    say({ event: "forgotten" });
  },
  async invoke({ client, method }) {
    await clients.get(client).invoke(method).catch((error) => say({ client, event: "invoke failed", error: error.message }));
  },
};

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const command = JSON.parse(line);
  commands[command.do](command);
}).on("close", () => process.exit(0));
