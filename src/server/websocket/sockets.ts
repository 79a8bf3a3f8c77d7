/** The WebSockets of a server: accepted, counted, kept alive, closed. */
import { WebSocketServer } from "ws";
import type { WebSocket } from "ws";

import type { ServerParts } from "../env.ts";
import type { ServerSettings } from "../options.ts";
import type { Principal } from "../principal.ts";
import { Conversation } from "./conversation.ts";
import { Socket } from "./socket.ts";
import { PROTOCOLS, wireOf } from "./wire.ts";

/** Close codes of RFC 6455 §7.4.1. */
const GOING_AWAY = 1001;
const CLOSING = "the server is closing";

/** What the route tells a connection's owner. */
export interface Accepted {
  receive(data: string | Uint8Array): void;
  end(): void;
}

export class Sockets {
  readonly server: WebSocketServer;
  readonly #settings: ServerSettings;
  readonly #open = new Set<Socket>();
  #heart: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(settings: ServerSettings) {
    this.#settings = settings;
    this.server = new WebSocketServer({
      noServer: true,
      maxPayload: settings.maxBodyBytes,
      handleProtocols: (offered) => PROTOCOLS.find((protocol) => offered.has(protocol)) ?? false,
      perMessageDeflate: false,
    });
  }

  get size(): number {
    return this.#open.size;
  }

  accept(raw: WebSocket, parts: ServerParts, principal: Principal): Accepted {
    const wire = wireOf(raw.protocol);
    const socket = new Socket(raw, wire, this.#settings.streamBufferBytes);
    const conversation = new Conversation(parts, principal, socket, wire);
    this.#open.add(socket);
    if (this.#isClosed) socket.close(GOING_AWAY, CLOSING);
    if (this.#open.size === 1) this.#heart = setInterval(() => this.#beat(), this.#settings.heartbeatMs).unref();
    return {
      receive: (data) => void conversation.receive(data),
      end: () => {
        if (!this.#open.delete(socket)) return;
        if (this.#open.size === 0) clearInterval(this.#heart);
        conversation.end();
      },
    };
  }

  #beat(): void {
    for (const socket of this.#open) socket.beat();
  }

  /** Those that are accepted from now on, too: a handshake may wait for keys. */
  closeAll(): void {
    this.#isClosed = true;
    for (const socket of this.#open) socket.close(GOING_AWAY, CLOSING);
  }
}
