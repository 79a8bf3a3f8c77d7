/**
 * How long a client may take to ask: one that sends its headers a byte at a time holds a connection, and enough of them hold all.
 * How long an answer takes to be given is not bounded; one that nobody takes is: connections.ts.
 */
import type { ServerOptions } from "node:http";

/** Milliseconds. */
const HEADERS_MS = 10_000;
const REQUEST_MS = 60_000;
const KEEP_ALIVE_MS = 65_000;
/** Between two looks for connections that take too long. */
const LOOK_MS = 2000;

/** For `createServer`: `connectionsCheckingInterval` cannot be set later, and its default adds half a minute to every time here. */
export const TIMEOUT_OPTIONS = {
  headersTimeout: HEADERS_MS,
  requestTimeout: REQUEST_MS,
  keepAliveTimeout: KEEP_ALIVE_MS,
  connectionsCheckingInterval: LOOK_MS,
} as const satisfies ServerOptions;
