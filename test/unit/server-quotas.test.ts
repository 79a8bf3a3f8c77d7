/** What tenants may use, on a clock of the test's. */
import { Hono } from "hono";
import { beforeEach, describe, expect, test } from "vitest";

import type { Env } from "../../src/server/env.ts";
import { problemOf } from "../../src/server/problems.ts";
import { countSessions } from "../../src/server/quotas/count-sessions.ts";
import type { QuotaOptions } from "../../src/server/quotas/options.ts";
import { QuotaOptionsSchema } from "../../src/server/quotas/options.ts";
import { rateLimitHeaders } from "../../src/server/quotas/rate-limit-headers.ts";
import { TenantQuotas } from "../../src/server/quotas/tenant-quotas.ts";
import { TokenBucket } from "../../src/server/quotas/token-bucket.ts";

let nowMs = 0;
/** Sessions a listing finds. */
let found: Record<string, number> = {};
let counts: string[] = [];
let counting: () => Promise<void> = async () => {};
beforeEach(() => {
  nowMs = 1000;
  found = {};
  counts = [];
  counting = async () => {};
});
function quotas(options: QuotaOptions): TenantQuotas {
  return new TenantQuotas(QuotaOptionsSchema.parse(options), {
    now: () => nowMs,
    countSessions: async (tenant) => {
      counts.push(tenant);
      const there = found[tenant] ?? 0;
      await counting();
      return there;
    },
  });
}
const refused = (act: () => unknown): unknown => {
  try {
    act();
    return "ok";
  } catch (error) {
    const { problem, headers } = problemOf(error, "/");
    return [problem.status, problem.code, headers["retry-after"]];
  }
};
const refusedLater = async (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => "ok",
    (error: unknown) => refused(() => { throw error; }), // prettier-ignore
  );

describe("token bucket", () => {
  test("B1: never more than the burst and the rate allow, whatever the moments", () => {
    const bucket = new TokenBucket(10, 5, 0);
    let random = 7;
    const taken: number[] = [];
    for (let at = 0; at < 20_000; at += random % 40) {
      random = (random * 48_271) % 2_147_483_647;
      if (bucket.take(at) === 0) taken.push(at);
    }
    for (const [first, from] of taken.entries())
      for (let last = first; last < Math.min(taken.length, first + 40); last++)
        expect(last - first + 1).toBeLessThanOrEqual(5 + (10 * ((taken[last] as number) - from)) / 1000 + 1e-6);
    expect(taken.length).toBeGreaterThan(190);
  });

  test("says how long to wait, and after that there is one", () => {
    const bucket = new TokenBucket(0.5, 1, 0);
    expect(bucket.take(0)).toBe(0);
    expect(bucket.take(500)).toBe(1500);
    expect([bucket.left(1999), bucket.left(2000)]).toEqual([0, 1]);
    expect(bucket.take(2000)).toBe(0);
    expect(bucket.fullInMs(2000)).toBe(2000);
  });

  test("B2: a clock that goes back gives and takes nothing", () => {
    const bucket = new TokenBucket(1, 2, 10_000);
    bucket.take(10_000);
    bucket.take(10_000);
    expect([bucket.left(0), bucket.left(10_500), bucket.left(11_000)]).toEqual([0, 0, 1]);
  });
});

describe("turns", () => {
  test("a rate: refused with when to come back, then let in again", () => {
    const tenants = quotas({ default: { turnsPerSecond: 2, turnsBurst: 3 } });
    for (let n = 0; n < 3; n++) expect(refused(() => tenants.takeTurn("a").release())).toBe("ok");
    expect(refused(() => tenants.takeTurn("a"))).toEqual([429, "RATE_LIMITED", "1"]);
    expect(refused(() => tenants.takeTurn("b").release())).toBe("ok");
    nowMs += 500;
    expect(refused(() => tenants.takeTurn("a").release())).toBe("ok");
    expect(refused(() => tenants.takeTurn("a"))).toEqual([429, "RATE_LIMITED", "1"]);
  });

  test("Q1, Q2: so many at a time; each place is given back once, and one that is refused takes nothing from the rate", () => {
    const tenants = quotas({ default: { concurrentTurns: 2, turnsPerSecond: 1, turnsBurst: 3 } });
    const [first] = [tenants.takeTurn("a"), tenants.takeTurn("a")];
    for (let n = 0; n < 5; n++) expect(refused(() => tenants.takeTurn("a"))).toEqual([429, "QUOTA_EXCEEDED", "1"]);
    first.release();
    first.release();
    expect(refused(() => tenants.takeTurn("a"))).toBe("ok");
    expect(refused(() => tenants.takeTurn("a"))).toEqual([429, "QUOTA_EXCEEDED", "1"]);
  });

  test("Q1: given back when the turn fails", async () => {
    const tenants = quotas({ default: { concurrentTurns: 1 } });
    await expect(tenants.asTurn("a", () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    await expect(tenants.asTurn("a", () => { throw new Error("at once"); })).rejects.toThrow("at once"); // prettier-ignore
    expect(await tenants.asTurn("a", async () => refused(() => tenants.takeTurn("a")))).toEqual([429, "QUOTA_EXCEEDED", "1"]);
    expect(refused(() => tenants.takeTurn("a"))).toBe("ok");
  });

  test("Q4: who has no tenant, or no limits, is not limited", async () => {
    const tenants = quotas({ default: { concurrentTurns: 1, sessions: 1 }, tenants: { free: {} } });
    for (let n = 0; n < 10; n++) {
      tenants.takeTurn(undefined);
      tenants.takeTurn("free");
      await tenants.takeSession(undefined);
      await tenants.takeSession("free");
    }
    expect([tenants.size, tenants.headersOf(undefined), tenants.headersOf("free")]).toEqual([0, undefined, undefined]);
  });

  test("a tenant's own limits take the place of the default", () => {
    const tenants = quotas({ default: { concurrentTurns: 1 }, tenants: { big: { concurrentTurns: 2 } } });
    tenants.takeTurn("big");
    expect(refused(() => tenants.takeTurn("big"))).toBe("ok");
    expect(refused(() => tenants.takeTurn("constructor"))).toBe("ok");
    expect(refused(() => tenants.takeTurn("constructor"))).toEqual([429, "QUOTA_EXCEEDED", "1"]);
  });
});

describe("sessions", () => {
  const create = (tenants: TenantQuotas, tenant = "a"): Promise<unknown> => refusedLater(tenants.asSession(tenant, async () => {}));
  const end = (tenants: TenantQuotas, isThere = async (): Promise<boolean> => true): Promise<void> =>
    tenants.asEnd("a", "s", isThere, async () => {});
  const FULL = [429, "QUOTA_EXCEEDED", "30"];

  test("S1: those that are there are counted once, then by what comes and goes", async () => {
    found["a"] = 1;
    const tenants = quotas({ default: { sessions: 3 } });
    expect([await create(tenants), await create(tenants), await create(tenants)]).toEqual(["ok", "ok", FULL]);
    await end(tenants);
    expect([await create(tenants), await create(tenants)]).toEqual(["ok", FULL]);
    expect(counts).toEqual(["a"]);
  });

  test("S1: one that ends counts once less, however many end it, and not at all when it was no longer there or does not end", async () => {
    found["a"] = 3;
    const tenants = quotas({ default: { sessions: 3 } });
    expect(await create(tenants)).toEqual(FULL);
    await end(tenants, async () => false);
    await expect(tenants.asEnd("a", "s", async () => true, () => Promise.reject(new Error("no")))).rejects.toThrow("no"); // prettier-ignore
    await expect(tenants.asEnd("a", "s", () => Promise.reject(new Error("list")), async () => {})).rejects.toThrow("list"); // prettier-ignore
    expect(await create(tenants)).toEqual(FULL);
    await Promise.all([end(tenants), end(tenants), end(tenants)]);
    expect([await create(tenants), await create(tenants)]).toEqual(["ok", FULL]);
    await tenants.asEnd("b", "s", () => expect.fail("b's are not counted"), async () => {}); // prettier-ignore
  });

  test("S2: many at once do not get past the limit together, nor while the sessions are being counted", async () => {
    const tenants = quotas({ default: { sessions: 3 } });
    let goOn = (): void => {};
    counting = () => new Promise((resolve) => (goOn = resolve));
    let finish = (): void => {};
    const finished = new Promise<void>((resolve) => (finish = resolve));
    const outcomes = Array.from({ length: 10 }, () => refusedLater(tenants.asSession("a", () => finished)));
    goOn();
    await new Promise((resolve) => setImmediate(resolve));
    expect(await create(tenants)).toEqual(FULL);
    finish();
    const settled = await Promise.all(outcomes);
    expect(settled.filter((outcome) => outcome === "ok")).toHaveLength(3);
    expect(counts).toEqual(["a"]);
  });

  test("Q1: one that could not be created does not count", async () => {
    const tenants = quotas({ default: { sessions: 1 } });
    await expect(tenants.asSession("a", () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    const lease = await tenants.takeSession("a");
    expect(await create(tenants)).toEqual(FULL);
    lease.release();
    lease.created();
    expect([await create(tenants), await create(tenants)]).toEqual(["ok", FULL]);
  });

  test("S3: at the limit they are counted again, but not for each that is refused; and from time to time", async () => {
    found["a"] = 2;
    const tenants = quotas({ default: { sessions: 2 } });
    expect([await create(tenants), await create(tenants)]).toEqual([FULL, FULL]);
    expect(counts).toHaveLength(1);
    found["a"] = 1; // ended elsewhere
    nowMs += 10_001;
    expect([await create(tenants), await create(tenants)]).toEqual(["ok", FULL]);
    expect(counts).toHaveLength(2);
    await end(tenants);
    await end(tenants);
    nowMs += 600_001;
    found["a"] = 2; // created elsewhere
    expect(await create(tenants)).toEqual(FULL);
    expect(counts).toHaveLength(3);
  });

  test("a listing that fails is told, and asked again", async () => {
    const tenants = quotas({ default: { sessions: 1 } });
    counting = () => Promise.reject(new Error("store"));
    await expect(tenants.takeSession("a")).rejects.toThrow("store");
    counting = async () => {};
    expect(await create(tenants)).toBe("ok");
  });

  test("listing counts page by page", async () => {
    const ids = Array.from({ length: 2500 }, (_, n) => ({ sessionId: String(n).padStart(5, "0") }));
    const queries: object[] = [];
    const list = async (query: { after?: string; limit?: number } = {}): Promise<never> => {
      queries.push(query);
      return ids.filter(({ sessionId }) => sessionId > (query.after ?? "")).slice(0, query.limit) as never;
    };
    expect(await countSessions({ list }, { t: "a" })).toBe(2500);
    expect(queries).toEqual([undefined, "00999", "01999"].map((after) => ({ labels: { t: "a" }, limit: 1000, ...(after && { after }) })));
    ids.length = 1000;
    expect(await countSessions({ list }, {})).toBe(1000);
  });
});

describe("tenants in memory", () => {
  test("Q3: idle ones are forgotten, busy ones are not; too many busy ones are too much", () => {
    const tenants = quotas({ default: { concurrentTurns: 1 }, tenantsMax: 3 });
    const leases = [tenants.takeTurn("a"), tenants.takeTurn("b")];
    for (let n = 0; n < 100; n++) tenants.takeTurn(`x${n}`).release();
    expect(tenants.size).toBeLessThanOrEqual(5);
    expect(refused(() => tenants.takeTurn("a"))).toEqual([429, "QUOTA_EXCEEDED", "1"]);
    leases.push(tenants.takeTurn("c"));
    expect(refused(() => tenants.takeTurn("d"))).toEqual([503, "HOST_OVERLOADED", "1"]);
    for (const lease of leases) lease.release();
    expect(refused(() => tenants.takeTurn("d"))).toBe("ok");
  });

  test("Q3: a tenant whose sessions are being counted is not forgotten", async () => {
    const tenants = quotas({ default: { sessions: 1 }, tenantsMax: 1 });
    let goOn = (): void => {};
    counting = () => new Promise((resolve) => (goOn = resolve));
    const work = refusedLater(tenants.asSession("a", async () => {}));
    expect(await refusedLater(tenants.takeSession("b"))).toEqual([503, "HOST_OVERLOADED", "1"]);
    goOn();
    expect(await work).toBe("ok");
  });
});

describe("headers", () => {
  const appOf = (tenants: TenantQuotas): Hono<Env> => {
    const app = new Hono<Env>();
    app.onError((error, c) => c.json(problemOf(error, "/").problem, 429));
    app.use(async (c, next) => {
      c.set("principal", { tenant: c.req.header("tenant"), role: "run", key: "k" });
      await next();
    });
    app.use(rateLimitHeaders(tenants));
    app.get("/turn", (c) => {
      tenants.takeTurn(c.get("principal").tenant);
      return c.text("ok");
    });
    app.get("/look", (c) => c.text("ok"));
    return app;
  };
  const headersOf = async (app: Hono<Env>, path: string, tenant: string): Promise<unknown[]> => {
    const { status, headers } = await app.request(path, { headers: { tenant } });
    return [status, headers.get("ratelimit-policy"), headers.get("ratelimit")];
  };

  test("on every answer to a tenant with limits: what they are and what is left", async () => {
    const app = appOf(quotas({ tenants: { a: { turnsPerSecond: 2, turnsBurst: 5, concurrentTurns: 2, sessions: 9 } } }));
    const policy = '"turns";q=5;w=3, "concurrent-turns";q=2, "sessions";q=9';
    expect(await headersOf(app, "/look", "a")).toEqual([200, policy, '"turns";r=5;t=0, "concurrent-turns";r=2']);
    expect(await headersOf(app, "/turn", "a")).toEqual([200, policy, '"turns";r=4;t=1, "concurrent-turns";r=1']);
    await headersOf(app, "/turn", "a");
    expect(await headersOf(app, "/turn", "a")).toEqual([429, policy, '"turns";r=3;t=1, "concurrent-turns";r=0']);
    expect(await headersOf(app, "/turn", "b")).toEqual([200, null, null]);
  });

  test("sessions are told of once they were counted", async () => {
    found["a"] = 4;
    const tenants = quotas({ default: { sessions: 6 } });
    const app = appOf(tenants);
    expect(await headersOf(app, "/look", "a")).toEqual([200, '"sessions";q=6', null]);
    await tenants.asSession("a", async () => {});
    expect(await headersOf(app, "/look", "a")).toEqual([200, '"sessions";q=6', '"sessions";r=1']);
  });
});

test("options: nothing unknown, nothing negative", () => {
  const problem = (options: unknown): string | undefined => QuotaOptionsSchema.safeParse(options).error?.issues[0]?.path.join(".");
  expect(QuotaOptionsSchema.parse({})).toEqual({ default: {}, tenants: {}, tenantsMax: 10_000 });
  expect(problem({ default: { sessions: 0 } })).toBe("default.sessions");
  expect(problem({ tenants: { a: { turnsPerSecond: -1 } } })).toBe("tenants.a.turnsPerSecond");
  expect(problem({ tenants: { "a b": {} } })).toBe("tenants.a b");
  expect(problem({ turns: 1 })).toBe("");
});
