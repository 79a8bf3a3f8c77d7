/** Many sessions over one connection. */
import { upgradeWebSocket } from "@hono/node-server";
import type { WebSocket } from "ws";

import type { Api } from "../api.ts";
import { requireRole } from "../auth/authenticate.ts";
import type { ServerParts } from "../env.ts";
import { HttpError } from "../problems.ts";
import { WEBSOCKET_PATH } from "../upgrades.ts";
import type { Accepted, Sockets } from "../websocket/sockets.ts";

export function websocketRoute(api: Api, parts: ServerParts, sockets: Sockets): void {
  api.get(
    WEBSOCKET_PATH,
    requireRole("read"),
    async (c, next) => {
      if (c.req.header("upgrade")?.toLowerCase() !== "websocket") {
        throw new HttpError("UPGRADE_REQUIRED", "this path speaks WebSocket only", { headers: { upgrade: "websocket" } });
      }
      if (sockets.size >= parts.settings.streamsMax)
        throw new HttpError("UNAVAILABLE", "too many connections", { headers: { "retry-after": "5" } });
      await next();
    },
    upgradeWebSocket((c) => {
      const { principal } = (c as unknown as { var: { principal: Parameters<Sockets["accept"]>[2] } }).var;
      let accepted: Accepted | undefined;
      return {
        onOpen: (_event, { raw }) => (accepted = sockets.accept(raw as WebSocket, parts, principal)),
        onMessage: ({ data }) => accepted?.receive(typeof data === "string" ? data : new Uint8Array(data as ArrayBuffer)),
        onClose: () => accepted?.end(),
      };
    }),
  );
}
