/**
 * Quotas of tenants: sessions, turns a second, turns at a time.
 *
 *   Q1. What a tenant takes it gives back, once, on every way out.
 *   Q2. A turn that is refused has used nothing up.
 *   Q3. Tenants in memory are bounded. One that holds nothing may be forgotten, the longest unused first: it then starts with a full bucket,
 *       and its sessions are counted anew.
 *   Q4. A principal without a tenant is not limited.
 */
import { LRUCache } from "lru-cache";

import { SessionError } from "../../protocol/errors.ts";
import type { SessionId } from "../../protocol/ids.ts";
import { HttpError } from "../problems.ts";
import type { QuotaSettings, TenantQuota } from "./options.ts";
import { SessionCount } from "./session-count.ts";
import { TokenBucket } from "./token-bucket.ts";

/** Seconds a client is told to wait when nobody knows how long it will take. */
const RETRY_TURNS_S = 1;
const RETRY_SESSIONS_S = 30;

/** Something of a tenant's quota. */
export interface Lease {
  /** Give it back; again does nothing. */
  release(): void;
}

/** Room for a session. */
export interface SessionLease extends Lease {
  /** The session is there: it counts until `sessionEnded`. */
  created(): void;
}

export interface TenantQuotasOptions {
  /** Sessions of a tenant that are not archived. May wait for the store, and reject. */
  readonly countSessions: (tenant: string) => Promise<number>;
  /** Milliseconds of a clock that never goes back. Default: `performance.now`. */
  readonly now?: () => number;
}

export class TenantQuotas {
  readonly #settings: QuotaSettings;
  readonly #countSessions: TenantQuotasOptions["countSessions"];
  readonly #now: () => number;
  /** Tenants that hold something now. */
  readonly #busy = new Map<string, Tenant>();
  readonly #idle: LRUCache<string, Tenant>;
  readonly #ending = new Set<SessionId>();

  constructor(settings: QuotaSettings, { countSessions, now = () => performance.now() }: TenantQuotasOptions) {
    this.#settings = settings;
    this.#countSessions = countSessions;
    this.#now = now;
    this.#idle = new LRUCache({ max: settings.tenantsMax });
  }

  /** Tenants in memory. */
  get size(): number {
    return this.#busy.size + this.#idle.size;
  }

  /**
   * Take the right to one turn, until its end. Never waits.
   *
   * @throws HttpError RATE_LIMITED, QUOTA_EXCEEDED; SessionError HOST_OVERLOADED when too many tenants are at work
   */
  takeTurn(tenant: string | undefined): Lease {
    const held = this.#limited(tenant);
    if (held === undefined) return NOTHING;
    this.#assertRoomFor(held);
    held.takeTurn(this.#now());
    return this.#hold(held, () => held.running--);
  }

  /** `run` as one turn of the tenant. @throws as takeTurn, and what `run` throws */
  async asTurn<T>(tenant: string | undefined, run: () => Promise<T>): Promise<T> {
    const lease = this.takeTurn(tenant);
    try {
      return await run();
    } finally {
      lease.release();
    }
  }

  /**
   * Take room for one session. Waits for a listing when the tenant's sessions are to be counted.
   *
   * @throws HttpError QUOTA_EXCEEDED; SessionError as the listing does, HOST_OVERLOADED when too many tenants are at work
   */
  async takeSession(tenant: string | undefined): Promise<SessionLease> {
    const held = this.#limited(tenant);
    const limit = held?.quota.sessions;
    if (held === undefined || limit === undefined) return NOTHING;
    this.#assertRoomFor(held);
    const stay = this.#hold(held, () => {}); // it is not forgotten while its sessions are counted
    try {
      if (!(await held.sessions.reserve(limit, this.#now))) {
        throw new HttpError("QUOTA_EXCEEDED", `the tenant has ${limit} sessions, which is as many as it may`, {
          headers: { "retry-after": String(RETRY_SESSIONS_S) },
          details: { quota: "sessions", limit },
        });
      }
      let isCreated = false;
      const lease = this.#hold(held, () => (isCreated ? held.sessions.created() : held.sessions.notCreated()));
      return {
        created: () => {
          isCreated = true;
          lease.release();
        },
        release: () => lease.release(),
      };
    } finally {
      stay.release();
    }
  }

  /**
   * `create` as one session of the tenant.
   *
   * @param create - calls `created` when the session is there, if it may fail after that: a session outlives its first turn
   * @throws as takeSession, and what `create` throws
   */
  async asSession<T>(tenant: string | undefined, create: (created: () => void) => Promise<T>): Promise<T> {
    const lease = await this.takeSession(tenant);
    try {
      const value = await create(() => lease.created());
      lease.created();
      return value;
    } finally {
      lease.release();
    }
  }

  /**
   * `end` a session of the tenant: if it was there it no longer counts, once, however many end it.
   *
   * @param isThere - asked ahead, if the answer matters
   * @throws what `end` and `isThere` throw
   */
  async asEnd(tenant: string | undefined, id: SessionId, isThere: () => Promise<boolean>, end: () => Promise<void>): Promise<void> {
    const held = tenant === undefined ? undefined : (this.#busy.get(tenant) ?? this.#idle.get(tenant));
    if (held?.sessions.known === undefined || this.#ending.has(id)) return end();
    this.#ending.add(id);
    try {
      const wasThere = await isThere();
      await end();
      if (wasThere) held.sessions.ended();
    } finally {
      this.#ending.delete(id);
    }
  }

  /** @returns the `RateLimit` headers of an answer to this tenant; undefined: it has no limits */
  headersOf(tenant: string | undefined): { readonly policy: string; readonly state: string } | undefined {
    const held = this.#limited(tenant);
    return held && { policy: held.policy, state: held.state(this.#now()) };
  }

  #limited(tenant: string | undefined): Tenant | undefined {
    if (tenant === undefined) return undefined;
    const known = this.#busy.get(tenant) ?? this.#idle.get(tenant);
    if (known !== undefined) return known;
    const quota = this.#quotaOf(tenant);
    if (!isLimited(quota)) return undefined;
    const fresh = new Tenant(tenant, quota, () => this.#countSessions(tenant), this.#now());
    this.#idle.set(tenant, fresh);
    return fresh;
  }

  #quotaOf(tenant: string): TenantQuota {
    const { tenants } = this.#settings;
    return (Object.hasOwn(tenants, tenant) ? tenants[tenant] : undefined) ?? this.#settings.default;
  }

  /** Q3 */
  #assertRoomFor({ leases }: Tenant): void {
    if (leases > 0 || this.#busy.size < this.#settings.tenantsMax) return;
    throw new SessionError("HOST_OVERLOADED", "too many tenants are at work", { details: { reason: "tenants", retryAfterMs: 1000 } });
  }

  /** Q1 */
  #hold(held: Tenant, giveBack: () => void): Lease {
    const { name } = held;
    if (held.leases === 0) {
      this.#idle.delete(name);
      this.#busy.set(name, held);
    }
    held.leases++;
    let isHeld = true;
    return {
      release: () => {
        if (!isHeld) return;
        isHeld = false;
        giveBack();
        if (--held.leases > 0) return;
        this.#busy.delete(name);
        this.#idle.set(name, held);
      },
    };
  }
}

const NOTHING: SessionLease = { release: () => {}, created: () => {} };

const isLimited = ({ sessions, turnsPerSecond, concurrentTurns }: TenantQuota): boolean =>
  sessions !== undefined || turnsPerSecond !== undefined || concurrentTurns !== undefined;

/** What one tenant has taken. */
class Tenant {
  readonly name: string;
  readonly quota: TenantQuota;
  readonly sessions: SessionCount;
  readonly policy: string;
  readonly #burst: number;
  readonly #bucket: TokenBucket | undefined;
  running = 0;
  leases = 0;

  constructor(name: string, quota: TenantQuota, countSessions: () => Promise<number>, nowMs: number) {
    this.name = name;
    this.quota = quota;
    this.sessions = new SessionCount(countSessions);
    const { turnsPerSecond, turnsBurst } = quota;
    this.#burst = turnsBurst ?? Math.max(1, Math.ceil(turnsPerSecond ?? 1));
    this.#bucket = turnsPerSecond === undefined ? undefined : new TokenBucket(turnsPerSecond, this.#burst, nowMs);
    this.policy = this.#policy();
  }

  /** @throws HttpError: then nothing is taken (Q2) */
  takeTurn(nowMs: number): void {
    const { concurrentTurns, turnsPerSecond } = this.quota;
    if (concurrentTurns !== undefined && this.running >= concurrentTurns) {
      throw new HttpError("QUOTA_EXCEEDED", `the tenant has ${concurrentTurns} turns at work, which is as many as it may`, {
        headers: { "retry-after": String(RETRY_TURNS_S) },
        details: { quota: "concurrentTurns", limit: concurrentTurns },
      });
    }
    const waitMs = this.#bucket?.take(nowMs) ?? 0;
    if (waitMs > 0) {
      throw new HttpError("RATE_LIMITED", `the tenant may start ${turnsPerSecond} turns a second`, {
        headers: { "retry-after": String(Math.ceil(waitMs / 1000)) },
        details: { quota: "turnsPerSecond", limit: turnsPerSecond, retryAfterMs: waitMs },
      });
    }
    this.running++;
  }

  /** As the IETF's draft (ratelimit-headers) has them: q how many, w in how many seconds. */
  #policy(): string {
    const { sessions, turnsPerSecond, concurrentTurns } = this.quota;
    const items: string[] = [];
    if (turnsPerSecond !== undefined) items.push(`"turns";q=${this.#burst};w=${Math.ceil(this.#burst / turnsPerSecond)}`);
    if (concurrentTurns !== undefined) items.push(`"concurrent-turns";q=${concurrentTurns}`);
    if (sessions !== undefined) items.push(`"sessions";q=${sessions}`);
    return items.join(", ");
  }

  /** r how many are left, t the seconds until all of them are there again. */
  state(nowMs: number): string {
    const { sessions, concurrentTurns } = this.quota;
    const items: string[] = [];
    if (this.#bucket !== undefined) {
      items.push(`"turns";r=${this.#bucket.left(nowMs)};t=${Math.ceil(this.#bucket.fullInMs(nowMs) / 1000)}`);
    }
    if (concurrentTurns !== undefined) items.push(`"concurrent-turns";r=${Math.max(0, concurrentTurns - this.running)}`);
    const known = this.sessions.known;
    if (sessions !== undefined && known !== undefined) items.push(`"sessions";r=${Math.max(0, sessions - known)}`);
    return items.join(", ");
  }
}
