/**
 * Who asks: the one place where credentials become a principal.
 *
 *   A1. Without authentication everybody is LOCAL; the server then serves this machine only (loopback.ts).
 *   A2. With it, nobody is anybody without a key, a token or a ticket that is good now.
 *   A3. No credential stands in an error or a log.
 */
import type { MiddlewareHandler } from "hono";

import type { Logger } from "../../protocol/options.ts";
import type { Env } from "../env.ts";
import type { Principal, Role } from "../principal.ts";
import { LOCAL, mayActAs } from "../principal.ts";
import { bearerOf, insufficientRole, invalidToken, noCredentials } from "./credentials.ts";
import { KeyRing } from "./key-ring.ts";
import type { AuthSettings } from "./options.ts";
import { isKeyToken } from "./secrets.ts";
import { Tickets, takesTicket } from "./tickets.ts";
import { TokenVerifier } from "./tokens.ts";

/** What of a request says who asks. */
export interface Credentials {
  /** The header. */
  readonly authorization: string | undefined;
  /** The `ticket` of the address, of requests that may show one. */
  readonly ticket?: string | undefined;
}

export class Authenticator {
  readonly tickets = new Tickets();
  readonly #keys: KeyRing | undefined;
  readonly #tokens: TokenVerifier | undefined;

  private constructor(keys: KeyRing | undefined, tokens: TokenVerifier | undefined) {
    this.#keys = keys;
    this.#tokens = tokens;
  }

  /**
   * @param settings - undefined: no authentication
   * @throws KeyFileError, Error when a file cannot be used
   */
  static async open(settings: AuthSettings | undefined, logger?: Pick<Logger, "info" | "warn">): Promise<Authenticator> {
    const { keyFile, jwt, reloadMs = 0 } = settings ?? {};
    const keys = keyFile === undefined ? undefined : await KeyRing.open(keyFile, reloadMs, logger);
    try {
      return new Authenticator(keys, jwt && (await TokenVerifier.open(jwt, reloadMs, logger)));
    } catch (error) {
      keys?.close();
      throw error;
    }
  }

  /** Whether callers must say who they are. */
  get isRequired(): boolean {
    return this.#keys !== undefined || this.#tokens !== undefined;
  }

  /** @throws HttpError UNAUTHENTICATED; UNAVAILABLE when the issuer's keys cannot be fetched, which it waits for */
  async identify({ authorization, ticket }: Credentials): Promise<Principal> {
    if (!this.isRequired) return LOCAL;
    const token = bearerOf(authorization);
    if (token === undefined) return this.#holderOf(ticket);
    if (this.#tokens !== undefined && !isKeyToken(token)) return this.#tokens.verify(token);
    const principal = this.#keys?.find(token);
    if (principal === undefined) throw invalidToken("the key is unknown, revoked or expired");
    return principal;
  }

  /** For connections that outlive a request, and tickets. @throws HttpError UNAUTHENTICATED when what identified the principal is no longer good */
  assertCurrent(principal: Principal, nowMs: number = Date.now()): void {
    if (!this.isRequired) return;
    const end = this.#tokens?.endOf(principal);
    const isCurrent = end === undefined ? this.#keys?.has(principal.key, nowMs) === true : nowMs < end;
    if (!isCurrent) throw invalidToken("the key or token that this connection or ticket was made with is revoked or expired");
  }

  /** Look at the files now, and fetch what is fetched. */
  async reload(): Promise<void> {
    await Promise.all([this.#keys?.reload(), this.#tokens?.reload()]);
  }

  close(): void {
    this.#keys?.close();
    this.#tokens?.close();
  }

  #holderOf(ticket: string | undefined): Principal {
    if (ticket === undefined) throw noCredentials();
    const principal = this.tickets.redeem(ticket);
    if (principal === undefined) throw invalidToken("the ticket is unknown, used or expired");
    this.assertCurrent(principal);
    return principal;
  }
}

/** What anybody may see: pages, documents, and whether the server is well. Everything else needs a principal. */
function isPublic(path: string): boolean {
  return path !== "/metrics" && path !== "/v1" && !path.startsWith("/v1/");
}

/** Sets `principal` where one is needed, or answers for the route. */
export function authenticate(authenticator: Authenticator): MiddlewareHandler<Env> {
  return async (c, next) => {
    const { path, method } = c.req;
    if (!isPublic(path)) {
      const ticket = takesTicket(method, path) ? c.req.query("ticket") : undefined;
      c.set("principal", await authenticator.identify({ authorization: c.req.header("authorization"), ticket }));
    }
    await next();
  };
}

/** Behind `authenticate`. */
export function requireRole(role: Role): MiddlewareHandler<Env> {
  return async (c, next) => {
    assertRole(c.get("principal"), role);
    await next();
  };
}

/** @param principal - undefined: of a route that lies where nobody is asked who they are. @throws HttpError UNAUTHENTICATED, FORBIDDEN */
export function assertRole(principal: Principal | undefined, role: Role): void {
  if (principal === undefined) throw noCredentials();
  if (!mayActAs(principal.role, role)) throw insufficientRole(role);
}
