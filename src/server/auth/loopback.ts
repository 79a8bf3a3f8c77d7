/**
 * A server without authentication serves this machine only, and of this machine only those who mean it.
 *
 *   L1. It does not start on an address that others can reach.
 *   L2. A page of another site that is open in a browser of this machine gets nothing from it: neither under a name of its own that it lets
 *       point here (DNS rebinding: the Host header tells) nor from where it is (the Origin header tells).
 */
import { isIP } from "node:net";

import type { MiddlewareHandler } from "hono";

import { HttpError } from "../problems.ts";
import { isLoopback } from "./addresses.ts";

/** A server was to start in a way that would hand its sessions to whoever can reach it. */
export class UnsafeListenError extends Error {
  override readonly name = "UnsafeListenError";
  readonly code = "UNSAFE_LISTEN";
  readonly host: string | undefined;

  constructor(host: string | undefined) {
    const where = host === undefined ? "every address of this machine" : host;
    super(
      `to listen at ${where}, set up authentication (auth.keyFile or auth.jwt); without it only 127.0.0.1, ::1 and localhost are served`,
    );
    this.host = host;
  }
}

/**
 * L1. Call before listening.
 *
 * @param host - undefined or empty: every address
 * @param auth - undefined: none is set up
 * @throws UnsafeListenError
 */
export function assertSafeToListen({ host, auth }: { host?: string | undefined; auth?: object | undefined }): void {
  if (auth === undefined && (host === undefined || !isLoopback(host))) throw new UnsafeListenError(host);
}

/** The headers that L2 looks at; undefined: not sent. */
export interface Provenance {
  readonly host: string | undefined;
  readonly origin: string | undefined;
}

/**
 * L2, for requests that do not go through the middleware, as upgrades to WebSocket do not.
 *
 * @param origins - other sites that may call: those of the CORS option
 * @throws HttpError FORBIDDEN
 */
export function assertLocalRequest({ host, origin }: Provenance, origins: readonly string[] = []): void {
  if (host === undefined || !isLoopbackHostHeader(host)) {
    throw new HttpError("FORBIDDEN", "a server without authentication is addressed as localhost, 127.0.0.1 or [::1]");
  }
  if (origin === undefined || origins.includes(origin)) return;
  if (origin !== `http://${host}` && origin !== `https://${host}`) {
    throw new HttpError("FORBIDDEN", "a server without authentication does not answer pages of other origins");
  }
}

/** L2, for all that the server answers. */
export function localOnly(origins: readonly string[] = []): MiddlewareHandler {
  return async (c, next) => {
    assertLocalRequest({ host: c.req.header("host"), origin: c.req.header("origin") }, origins);
    await next();
  };
}

function isLoopbackHostHeader(header: string): boolean {
  const [, bracketed, plain] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d{1,5})?$/.exec(header) ?? [];
  const host = bracketed ?? plain;
  return host !== undefined && isLoopback(host) && (bracketed === undefined || isIP(host) === 6);
}
