/**
 * Log lines of a server and its host, written by pino: one JSON object a line.
 *
 *   G1. No line holds a secret: no body, no query, no header; what looks like a credential by its name is censored wherever it stands.
 *   G2. A line of a request says who asked for what and how it ended; one of the host says of which session, turn and lane.
 */
import type { MiddlewareHandler } from "hono";
import { pino } from "pino";
import type { DestinationStream, Logger as Pino } from "pino";

import { SESSION_ID_MAX } from "../protocol/ids.ts";
import type { Logger } from "../protocol/options.ts";
import type { Env } from "./env.ts";
import { routeOf } from "./route-of.ts";

/** Least to say first. */
export const LOG_LEVELS = ["silent", "error", "warn", "info", "debug"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Whatever is logged under these names, up to two levels down. */
const SECRET_NAMES = ["authorization", "Authorization", "cookie", "token", "secret", "password", "apiKey"];
const CENSORED = "[secret]";
const STDERR = 2;

export interface LogOptions {
  /** Default "info". */
  level?: LogLevel | undefined;
  /** Where lines go. Default: stderr, without waiting for it; `flush` before the process ends by force. */
  destination?: DestinationStream | undefined;
}

/** What a host and a server take as their `logger`, and a little more. */
export interface ServerLogger extends Logger {
  debug(fields: Record<string, unknown>, message: string): void;
  /** Lines of that level are written. */
  isEnabled(level: LogLevel): boolean;
  /** For lines of one's own. */
  readonly pino: Pino;
}

export function createLogger({ level = "info", destination }: LogOptions = {}): ServerLogger {
  const log = pino(
    {
      level,
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: SECRET_NAMES.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: CENSORED },
    },
    destination ?? pino.destination({ dest: STDERR, sync: false }),
  );
  return {
    debug: (fields, message) => log.debug(named(fields), message),
    info: (fields, message) => log.info(named(fields), message),
    warn: (fields, message) => log.warn(named(fields), message),
    error: (fields, message) => log.error(named(fields), message),
    isEnabled: (wanted) => log.isLevelEnabled(wanted),
    pino: log,
  };
}

/** G2. What the host calls a ticket is a turn to whoever reads its log. */
function named(fields: Record<string, unknown>): Record<string, unknown> {
  if (fields["ticket"] === undefined) return fields;
  const { ticket, ...rest } = fields;
  return { ...rest, turn: ticket };
}

/** Asked for all the time: no news is not worth a line. */
const PROBES: ReadonlySet<string> = new Set(["/healthz", "/readyz", "/metrics"]);

/** A line for each request, when its answer begins; a stream goes on behind it. Mistakes of the server's are of level "error". */
export function logRequests(logger: Logger | ServerLogger): MiddlewareHandler<Env> {
  const isOn = (level: LogLevel): boolean => !("isEnabled" in logger) || logger.isEnabled(level);
  return async (c, next) => {
    const begunMs = performance.now();
    await next();
    const { status } = c.res;
    const route = routeOf(c);
    if (PROBES.has(route) && status < 400) return;
    const level = status === 500 ? "error" : "info";
    if (!isOn(level)) return;
    const { requestId, principal } = c.var as Partial<Env["Variables"]>; // refused before there was one
    const session = route.startsWith("/v1/sessions/") ? c.req.param("id") : undefined;
    const line = {
      method: c.req.method,
      route,
      status,
      ms: Math.round((performance.now() - begunMs) * 1000) / 1000,
      ...(requestId !== undefined && { request: requestId }),
      ...(principal !== undefined && { principal: principal.key }),
      ...(principal?.tenant !== undefined && { tenant: principal.tenant }),
      ...(session !== undefined && { session: session.slice(0, SESSION_ID_MAX) }),
    };
    logger[level](line, "request");
  };
}
