/**
 * Requests that ask for another protocol. Once anybody listens for WebSockets, Node hands over the connections of all of them, whatever
 * they ask for, and looks after them no more.
 *
 *   U1. WebSocket is spoken at one path. What asks for it elsewhere, or for anything else, is answered as if it had not asked (RFC 9110 §7.8):
 *       some clients ask for HTTP/2 with every request.
 *   U2. A connection that was handed over has somebody who hears its errors, and does not outlive the end of its answer.
 */
import type { IncomingMessage, Server } from "node:http";
import type { Socket } from "node:net";

import type { Connections } from "./connections.ts";

export const WEBSOCKET_PATH = "/v1/ws";

/** Milliseconds a client may take to end its side of a connection, behind the last that it was told. */
const LINGER_MS = 1000;

type OnUpgrade = (request: IncomingMessage, socket: Socket, head: Buffer) => void;

/** Call once the framework listens for WebSockets: it tells those that are refused only while nobody else listens, so it is asked from here. */
export function sortUpgrades(server: Server, connections: Connections): void {
  const [accept] = server.listeners("upgrade") as [OnUpgrade];
  server.removeAllListeners("upgrade").on("upgrade", ((request, socket, head) => {
    if (connections.isAnswering(socket)) socket.destroy(); // what is being answered there would be mixed with it
    else if (isForWebSocket(request)) {
      endInTime(socket);
      accept(request, socket, head);
    } else serveAgain(server, request, socket, head);
  }) satisfies OnUpgrade);
}

function isForWebSocket({ method, url, headers }: IncomingMessage): boolean {
  return method === "GET" && url?.split("?", 1)[0] === WEBSOCKET_PATH && headers.upgrade?.toLowerCase() === "websocket";
}

/** U2. */
function endInTime(socket: Socket): void {
  socket.on("error", () => {}); // its close is told as well
  socket.once("finish", () => {
    socket.resume(); // or its end is never seen
    const late = setTimeout(() => socket.destroy(), LINGER_MS).unref();
    socket.once("close", () => clearTimeout(late));
  });
}

/** U1: the connection begins anew with the same request, which asks for no upgrade now. */
function serveAgain(server: Server, { method, url, httpVersion, rawHeaders }: IncomingMessage, socket: Socket, head: Buffer): void {
  let text = `${method} ${url} HTTP/${httpVersion}\r\n`;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.toLowerCase() !== "upgrade") text += `${rawHeaders[i]}: ${rawHeaders[i + 1]}\r\n`;
  }
  socket.unshift(Buffer.concat([Buffer.from(`${text}\r\n`, "latin1"), head]));
  server.emit("connection", socket);
}
