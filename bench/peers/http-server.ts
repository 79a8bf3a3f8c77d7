/** Hono on Node's server with nothing behind it: what Warren's HTTP server is measured beside. */
import { once } from "node:events";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";

import type { HttpBindings } from "@hono/node-server";
import { createAdaptorServer } from "@hono/node-server";
import type { Hono } from "hono";

export type BareApp = Hono<{ Bindings: HttpBindings }>;

export interface HttpPeer {
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Serve an app with the settings of Warren's server.
 *
 * @param ownsGlobals - let the adaptor replace the process's `Request` and `Response` with faster ones, as it does by default and a library must not
 */
export async function serveBare(app: BareApp, ownsGlobals = false): Promise<HttpPeer> {
  const server = createAdaptorServer({ fetch: app.fetch, overrideGlobalObjects: ownsGlobals, serverOptions: { noDelay: true } }) as Server;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    close: async () => {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** An id that looks like those of sessions. */
export function sessionLike(n: number): string {
  return `019a9f00-0000-7000-8000-${String(n).padStart(12, "0")}`;
}
