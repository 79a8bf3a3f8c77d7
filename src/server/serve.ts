/**
 * A server of one session service: listens, and ends in good order.
 *
 *   L1. The service is its opener's: closing the server leaves it open. Close the server first: nothing new arrives, streams of sessions end,
 *       what is being answered is answered, turns' streams among it.
 */
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";

import { createAdaptorServer } from "@hono/node-server";
import type { WebSocketServerLike } from "@hono/node-server";

import { AnswersInMemory } from "../host/answers.ts";
import { parseInput } from "../protocol/parse.ts";
import { createApp } from "./app.ts";
import { Authenticator } from "./auth/authenticate.ts";
import { assertSafeToListen } from "./auth/loopback.ts";
import { Connections } from "./connections.ts";
import type { ServerParts } from "./env.ts";
import { EventFeeds } from "./event-feeds.ts";
import { TIMEOUT_OPTIONS } from "./hardening/timeouts.ts";
import { Observability } from "./observability.ts";
import { Once } from "./idempotency/once.ts";
import type { ServerOptions, ServerSettings } from "./options.ts";
import { ServerOptionsSchema } from "./options.ts";
import { countSessions } from "./quotas/count-sessions.ts";
import { TenantQuotas } from "./quotas/tenant-quotas.ts";
import type { ServableService } from "./service.ts";
import { SseStreams } from "./sse.ts";
import { TENANT_LABEL, Tenancy } from "./tenancy.ts";
import { sortUpgrades } from "./upgrades.ts";
import { Sockets } from "./websocket/sockets.ts";

const CLOSE_MS = 30_000;
/** Longest time of a timer. */
const MS_MAX = 2_147_483_647;

export class WarrenServer implements AsyncDisposable {
  readonly #connections: Connections;
  readonly #parts: ServerParts;
  readonly #sockets: Sockets;
  #closing: Promise<void> | undefined;
  /** Where it listens, such as `http://127.0.0.1:8787`. */
  readonly url: string;
  readonly port: number;

  private constructor(server: Server, connections: Connections, parts: ServerParts, sockets: Sockets) {
    this.#connections = connections;
    this.#sockets = sockets;
    this.#parts = parts;
    const { address, family, port } = server.address() as AddressInfo;
    this.port = port;
    this.url = `http://${family === "IPv6" ? `[${address}]` : address}:${port}`;
  }

  /**
   * Serve a session service. Waits until it listens.
   *
   * @throws SessionError INVALID_PARAMS for a wrong option; UnsafeListenError for an address that others reach, without authentication;
   *   KeyFileError, Error for a file of keys that cannot be used; what the system says of an address that cannot be had
   */
  static async start(service: ServableService, options: ServerOptions = {}): Promise<WarrenServer> {
    const settings = parseInput(ServerOptionsSchema, options, "options");
    assertSafeToListen(settings);
    const authenticator = await Authenticator.open(settings.auth, settings.logger);
    try {
      return await WarrenServer.#listen(service, settings, authenticator);
    } catch (error) {
      authenticator.close();
      throw error;
    }
  }

  static async #listen(service: ServableService, settings: ServerSettings, authenticator: Authenticator): Promise<WarrenServer> {
    const inMemory = new AnswersInMemory(() => false);
    const parts: ServerParts = {
      service,
      settings,
      feeds: new EventFeeds(service),
      streams: new SseStreams(settings),
      tenancy: new Tenancy(service),
      once: new Once(() => service.answers?.() ?? inMemory),
      authenticator,
      quotas: new TenantQuotas(settings.quotas, { countSessions: (tenant) => countSessions(service, { [TENANT_LABEL]: tenant }) }),
      logger: settings.logger,
      observability: await Observability.open(service, settings),
    };
    const sockets = new Sockets(settings);
    const server = createAdaptorServer({
      fetch: createApp(parts, sockets).fetch,
      overrideGlobalObjects: false,
      serverOptions: { noDelay: true, ...TIMEOUT_OPTIONS },
      websocket: { server: sockets.server as WebSocketServerLike },
    }) as Server;
    const connections = new Connections(server, settings.writeTimeoutMs);
    sortUpgrades(server, connections);
    await listening(server, settings).catch((error: unknown) => {
      parts.observability.close();
      throw error;
    });
    return new WarrenServer(server, connections, parts, sockets);
  }

  /** Read the files of keys again now, without waiting for the next look. Never rejects: what cannot be used is logged, and changes nothing. */
  reload(): Promise<void> {
    return this.#parts.authenticator.reload();
  }

  /**
   * Stop listening, end what follows sessions, wait for what is being answered: a turn's answer comes when the turn has ended, whether or not
   * it is a stream. A second call is the first.
   *
   * @param options.deadlineMs - milliseconds after which connections are cut off that are not answered. Default 30,000
   */
  close({ deadlineMs = CLOSE_MS }: { readonly deadlineMs?: number } = {}): Promise<void> {
    return (this.#closing ??= this.#close(Math.min(Math.max(deadlineMs, 0), MS_MAX)));
  }

  async #close(deadlineMs: number): Promise<void> {
    const closed = this.#connections.close(deadlineMs);
    this.#parts.authenticator.close();
    this.#parts.streams.closeAll();
    this.#sockets.closeAll();
    this.#parts.feeds.close();
    await closed;
    this.#parts.observability.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function listening(server: Server, { host, port }: ServerSettings): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
}
