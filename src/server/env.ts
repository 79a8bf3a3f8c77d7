/** What every handler has at hand. */
import type { HttpBindings } from "@hono/node-server";
import type { Context } from "hono";

import type { Logger } from "../protocol/options.ts";
import type { Authenticator } from "./auth/authenticate.ts";
import type { EventFeeds } from "./event-feeds.ts";
import type { Observability } from "./observability.ts";
import type { Once } from "./idempotency/once.ts";
import type { ServerSettings } from "./options.ts";
import type { Principal } from "./principal.ts";
import type { TenantQuotas } from "./quotas/tenant-quotas.ts";
import type { ServableService } from "./service.ts";
import type { SseStreams } from "./sse.ts";
import type { Tenancy } from "./tenancy.ts";

export interface Env {
  Bindings: HttpBindings;
  Variables: { principal: Principal; requestId: string };
}
export type Ctx = Context<Env>;

/** The parts of one server. */
export interface ServerParts {
  readonly service: ServableService;
  readonly settings: ServerSettings;
  readonly feeds: EventFeeds;
  readonly streams: SseStreams;
  readonly tenancy: Tenancy;
  readonly once: Once;
  readonly authenticator: Authenticator;
  readonly quotas: TenantQuotas;
  readonly logger: Logger | undefined;
  readonly observability: Observability;
}
