/** How a server is set up: one schema, checked when it starts. */
import * as z from "zod";

import type { Logger } from "../protocol/options.ts";
import { LoggerSchema } from "../protocol/options.ts";
import type { AuthOptions } from "./auth/options.ts";
import { AuthOptionsSchema } from "./auth/options.ts";
import { OriginsSchema } from "./hardening/options.ts";
import type { QuotaOptions } from "./quotas/options.ts";
import { QuotaOptionsSchema } from "./quotas/options.ts";

const milliseconds = (fallback: number): z.ZodDefault<z.ZodNumber> => z.number().positive().max(2_147_483_647).default(fallback);
const bytes = (fallback: number): z.ZodDefault<z.ZodInt> => z.int().positive().default(fallback);

export const ServerOptionsSchema = z.strictObject({
  host: z.string().min(1).default("127.0.0.1"),
  port: z.int().min(0).max(65_535).default(8787),
  maxBodyBytes: bytes(8 * 1024 * 1024),
  // Clients of ours give a stream up that is silent for twice as long.
  heartbeatMs: z.number().positive().max(30_000).default(15_000),
  writeTimeoutMs: milliseconds(30_000),
  streamBufferBytes: bytes(256 * 1024),
  streamsMax: z.int().positive().default(20_000),
  auth: AuthOptionsSchema.optional(),
  quotas: QuotaOptionsSchema.prefault({}),
  origins: OriginsSchema,
  logger: LoggerSchema.optional(),
  logRequests: z.boolean().default(true),
  tracing: z.boolean().default(false),
});

/** With every default filled in. */
export type ServerSettings = z.output<typeof ServerOptionsSchema>;

export interface ServerOptions {
  /** Address to listen at. Default 127.0.0.1. */
  host?: string | undefined;
  /** 0: any free one. Default 8787. */
  port?: number | undefined;
  /** Of a request's body. Default 8 MiB. */
  maxBodyBytes?: number | undefined;
  /** Milliseconds of silence after which a stream says that it is alive, at most 30,000. Default 15,000. */
  heartbeatMs?: number | undefined;
  /** Milliseconds a client may take none of what is written to it; then, or up to as much later, its connection is ended. Default 30,000. */
  writeTimeoutMs?: number | undefined;
  /** What may wait in a stream's connection before its events wait in a ring that loses the oldest. Default 256 KiB. */
  streamBufferBytes?: number | undefined;
  /** Streams at a time. Default 20,000. */
  streamsMax?: number | undefined;
  /** Who may call. Default: everybody on this machine, and nobody elsewhere; another `host` needs it. */
  auth?: AuthOptions | undefined;
  /** What tenants may use. Default: no limits. */
  quotas?: QuotaOptions | undefined;
  /** Sites whose pages may call, such as `https://example.com`. Default: none but the server's own. */
  origins?: string[] | undefined;
  /** Gets a line for each request, for mistakes of the server's own, and for files of keys that cannot be used; `createLogger` makes one. Default: none. */
  logger?: Logger | undefined;
  /** Whether requests are logged, if there is a logger. Default true. */
  logRequests?: boolean | undefined;
  /** Make OpenTelemetry spans of requests, if a tracer provider is registered (docs/tracing.md). Default false. */
  tracing?: boolean | undefined;
}
