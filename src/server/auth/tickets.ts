/**
 * Tickets: what a browser puts into the address of a stream, where it cannot set a header.
 *
 *   T1. A ticket is good once and for TICKET_MS, so one that is found in a log or a history is worth nothing.
 *   T2. It gives what its holder had when it was made, no more, and nothing when what identified the holder is no longer good.
 *   T3. Tickets are bounded, of one holder and of all.
 */
import { randomBytes } from "node:crypto";

import { SessionError } from "../../protocol/errors.ts";
import { HttpError } from "../problems.ts";
import type { Principal } from "../principal.ts";
import { digestOf } from "./secrets.ts";

/** Milliseconds. */
export const TICKET_MS = 30_000;
export const TICKETS_MAX = 10_000;
/** Of one tenant and key. */
export const TICKETS_OF_ONE_MAX = 256;

interface Held {
  readonly principal: Principal;
  readonly holder: string;
  readonly expiresAt: number;
}

export class Tickets {
  /** In the order of their ends. */
  readonly #held = new Map<string, Held>();
  readonly #counts = new Map<string, number>();

  /** Tickets that can still be used. */
  get size(): number {
    return this.#held.size;
  }

  /** @throws HttpError RATE_LIMITED; SessionError HOST_OVERLOADED */
  issue(principal: Principal, nowMs: number = Date.now()): { readonly ticket: string; readonly expiresAt: number } {
    this.#dropExpired(nowMs);
    const holder = JSON.stringify([principal.tenant, principal.key]);
    const count = this.#counts.get(holder) ?? 0;
    if (count >= TICKETS_OF_ONE_MAX) {
      const retryAfterS = Math.ceil(TICKET_MS / 1000);
      throw new HttpError("RATE_LIMITED", `${TICKETS_OF_ONE_MAX} tickets wait to be used`, {
        headers: { "retry-after": `${retryAfterS}` },
      });
    }
    if (this.#held.size >= TICKETS_MAX) {
      throw new SessionError("HOST_OVERLOADED", "too many tickets wait to be used", {
        details: { reason: "tickets", retryAfterMs: TICKET_MS },
      });
    }
    const ticket = `wt_${randomBytes(32).toString("base64url")}`;
    const expiresAt = nowMs + TICKET_MS;
    this.#held.set(digestOf(ticket), { principal, holder, expiresAt });
    this.#counts.set(holder, count + 1);
    return { ticket, expiresAt };
  }

  /** Use a ticket up. @returns whose it was; undefined when it is none that can be used */
  redeem(ticket: string, nowMs: number = Date.now()): Principal | undefined {
    this.#dropExpired(nowMs);
    const key = digestOf(ticket);
    const held = this.#held.get(key);
    if (held !== undefined) this.#drop(key, held);
    return held?.principal;
  }

  #dropExpired(nowMs: number): void {
    for (const [key, held] of this.#held) {
      if (held.expiresAt > nowMs) return;
      this.#drop(key, held);
    }
  }

  #drop(key: string, { holder }: Held): void {
    this.#held.delete(key);
    const count = (this.#counts.get(holder) ?? 0) - 1;
    if (count > 0) this.#counts.set(holder, count);
    else this.#counts.delete(holder);
  }
}

/** Whether a request may show a ticket: a stream that browsers open without headers of their own. */
export function takesTicket(method: string, path: string): boolean {
  return method === "GET" && (path === "/v1/ws" || /^\/v1\/sessions\/[^/]+\/events$/.test(path));
}

const SECRET_PARAMETERS = /([?&](?:ticket|access_token|token|key)=)[^&#]*/gi;

/** @returns an address as it may stand in a log */
export function redactedUrl(url: string): string {
  return url.replaceAll(SECRET_PARAMETERS, "$1[redacted]");
}
