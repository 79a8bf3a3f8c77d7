/**
 * The connections of a server: what each still owes its client, and how it ends.
 *
 *   C1. An answer that was given is written out, also when the server closes, unless its client takes nothing of it for the write timeout.
 *   C2. A server that closes ends a connection as soon as nothing is asked on it and everything is answered; what is asked meanwhile is answered.
 *   C3. Closing takes no longer than its patience.
 */
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { Server as NetServer } from "node:net";
import type { Socket } from "node:net";

interface Connection {
  /** Not written out yet. */
  readonly answers: Set<ServerResponse>;
  /** Bytes that had come when the last of them was written out and its request had come whole. More: something is being asked. */
  readBytes: number;
}

export class Connections {
  readonly #server: Server;
  readonly #writeTimeoutMs: number;
  readonly #open = new Map<Socket, Connection>();
  #isClosing = false;

  /** @param writeTimeoutMs - a client that takes nothing for so long, or up to twice as long, is cut off */
  constructor(server: Server, writeTimeoutMs: number) {
    this.#server = server;
    this.#writeTimeoutMs = writeTimeoutMs;
    server.prependListener("connection", (socket: Socket) => this.#opened(socket));
    server.prependListener("request", (request: IncomingMessage, answer: ServerResponse) => this.#asked(request, answer));
  }

  isAnswering(socket: Socket): boolean {
    return (this.#open.get(socket)?.answers.size ?? 0) > 0;
  }

  /**
   * Stop listening, and wait until all connections have ended (C2, C3). Connections that speak WebSocket are their owner's to end.
   *
   * @param patienceMs - milliseconds that what is being answered is given
   */
  async close(patienceMs: number): Promise<void> {
    this.#isClosing = true;
    // Not HTTP's own close: it destroys connections whose answers have ended, written out or not.
    const closed = new Promise<void>((resolve) => NetServer.prototype.close.call(this.#server, () => resolve()));
    for (const [socket, { answers }] of this.#open) {
      for (const answer of answers) sayLast(answer);
      this.#endIdle(socket);
    }
    const patience = setTimeout(() => {
      for (const socket of this.#open.keys()) socket.destroy();
    }, patienceMs);
    await closed;
    clearTimeout(patience);
    this.#server.close(); // only for its timer now
  }

  #opened(socket: Socket): void {
    if (this.#open.has(socket)) return; // handed back
    this.#open.set(socket, { answers: new Set(), readBytes: 0 });
    socket.once("close", () => this.#open.delete(socket));
  }

  #asked(request: IncomingMessage, answer: ServerResponse): void {
    const { socket } = request;
    const connection = this.#open.get(socket);
    if (connection === undefined) return; // it has closed meanwhile
    connection.answers.add(answer);
    const onRead = (): void => {
      connection.readBytes = socket.bytesRead;
      if (this.#isClosing) this.#endIdle(socket);
    };
    answer.once("close", () => {
      connection.answers.delete(answer);
      if (!request.complete) request.once("close", onRead); // it was answered by its head alone, and what is still to come asks nothing
      onRead();
    });
    // Node tells of a connection on which nothing has moved; how long an answer takes to be given is not bounded here.
    answer.setTimeout(this.#writeTimeoutMs, () => {
      if (socket.writableLength > 0) socket.destroy();
    });
    if (this.#isClosing) sayLast(answer);
  }

  #endIdle(socket: Socket): void {
    const connection = this.#open.get(socket);
    if (connection?.answers.size === 0 && socket.bytesRead === connection.readBytes) socket.destroySoon();
  }
}

/** The client should ask the next on another connection. */
function sayLast(answer: ServerResponse): void {
  if (!answer.headersSent) answer.setHeader("connection", "close");
}
