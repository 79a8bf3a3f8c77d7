/** More than a lane takes: its sessions' new work is refused, nothing that was let in is lost, nobody else notices. */
import { expect, test } from "vitest";

import type { SessionError } from "../../dist/src/index.js";
import { randomOf } from "../helpers/seeded.ts";
import { codeOf, deferred, errorOf, gate, hosts, script, settled, sleep, until } from "../helpers/hosts.ts";

const openHost = hosts();
const COUNTING = new URL("../fixtures/counting.mjs", import.meta.url);
const MIB = 1024 * 1024;
/** Megabytes that may wait for a lane. */
const BOUND_MIB = 64;

/** A prompt of a megabyte that takes no time. */
const LARGE = `0${" ".repeat(MIB)}`;

test("a blocked lane's queue stops growing: its sessions' turns are refused, others are not, and what was let in runs", async () => {
  const service = await openHost({ lanes: { count: 2 }, interruptGraceMs: 60_000 });
  const ids: string[] = [];
  for (let n = 0; n < 2 * (BOUND_MIB + 20); n++) ids.push(await deferred(service));
  const [mine, others] = [0, 1].map((lane) => ids.filter((_, n) => n % 2 === lane)) as [string[], string[]];
  const started = gate();
  const blocking = service.startTurn(mine[0] as string, {
    prompt: script(["emit", 1], ["sleepThrough", 1], ["spinBlind", 3000]),
    onEvent: () => started.open(),
  });
  await started.promise;
  await until("the lane stands still", () => service.inspect().lanes.some(({ heartbeatAgeMs = 0 }) => heartbeatAgeMs > 300));
  const large = script(["say", "x".repeat(MIB)]);
  const calls = mine.slice(1).map((id) => service.startTurn(id, { prompt: large }));
  const codes = Promise.all(calls.map((call) => codeOf(call)));
  const refused = (await errorOf(calls.at(-1) as Promise<unknown>)) as SessionError;
  expect(refused).toMatchObject({ code: "HOST_OVERLOADED", disposition: "retry", details: { reason: "lane_behind" } });
  const retryAfterMs = refused.details?.["retryAfterMs"] as number;
  expect(retryAfterMs).toBeGreaterThan(0);
  expect(retryAfterMs).toBeLessThanOrEqual(10_000);
  const { queuedBytes } = service.inspect().lanes[0] as { queuedBytes: number };
  expect(queuedBytes).toBeGreaterThan(BOUND_MIB * MIB);
  expect(queuedBytes).toBeLessThan((BOUND_MIB + 2) * MIB);
  for (const id of others.slice(0, 20)) expect(await codeOf(service.startTurn(id, { prompt: "x" }))).toBe("ok");
  expect(await codeOf(service.createSession({ prompt: "x" }))).toBe("ok"); // placed where there is room
  await service.interrupt(mine[1] as string);
  await service.archive(mine[2] as string);
  expect(await codeOf(settled(blocking))).toBe("ok");
  const outcomes = await settled(codes);
  expect(outcomes[0]).toBe("AGENT_ERROR"); // interrupted
  expect(outcomes[1]).toBe("ok"); // archived while it waited
  const firstRefused = outcomes.indexOf("HOST_OVERLOADED");
  expect(firstRefused).toBeGreaterThan(BOUND_MIB - 10);
  expect(new Set(outcomes.slice(2, firstRefused))).toEqual(new Set(["ok"]));
  expect(new Set(outcomes.slice(firstRefused))).toEqual(new Set(["HOST_OVERLOADED"]));
  for (const call of calls.slice(2, firstRefused)) expect((await call).text).toHaveLength(MIB);
  expect(await codeOf(service.startTurn(mine.at(-1) as string, { prompt: "x" }))).toBe("ok");
});

test("a lane that is lost with a full queue leaves nothing behind: everybody is told, and its replacement is not behind", async () => {
  const service = await openHost({ lanes: { count: 1 }, interruptGraceMs: 1000 });
  const ids: string[] = [];
  for (let n = 0; n < BOUND_MIB + 8; n++) ids.push(await deferred(service));
  const blocked = service.startTurn(ids[0] as string, { prompt: script(["sleepThrough", 1], ["spinBlind", 120_000]) });
  blocked.catch(() => {});
  await until("the lane stands still", () => service.inspect().lanes.some(({ heartbeatAgeMs = 0 }) => heartbeatAgeMs > 300));
  const codes = Promise.all([blocked, ...ids.slice(1).map((id) => service.startTurn(id, { prompt: LARGE }))].map(codeOf));
  await service.interrupt(ids[0] as string);
  const outcomes = await settled(codes);
  expect(new Set(outcomes)).toEqual(new Set(["AGENT_ERROR", "HOST_OVERLOADED"]));
  expect(await codeOf(settled(service.createSession({ prompt: "x" })))).toBe("ok");
  expect(service.inspect()).toMatchObject({ turns: { running: 0 }, lanes: [{ queuedRecords: 0, queuedBytes: 0 }] });
});

const SEED = Number(process.env["OVERLOAD_SEED"] ?? Date.now() % 1_000_000_000);

test.each([0, 1, 2])("any mix of load: every call settles once, and a turn runs exactly if it was let in (seed %i)", async (round) => {
  const seed = SEED + round;
  const random = randomOf(seed);
  const upTo = (n: number): number => Math.floor(random() * n);
  const service = await openHost({ agent: COUNTING, lanes: { count: 2 } });
  const ids = await Promise.all(Array.from({ length: 160 }, () => deferred(service)));
  const good = new Map<string, number>();
  const seen = new Map<string, number>();
  const calls: Promise<void>[] = [];
  let settledCalls = 0;
  for (let step = 0; step < 60; step++) {
    const burst = upTo(10) === 0 ? ids.length : upTo(12);
    for (let n = 0; n < burst; n++) {
      const id = ids[upTo(ids.length)] as string;
      const prompt = upTo(3) === 0 ? LARGE : `${upTo(40) === 0 ? 30 : 0}`;
      const call = service.startTurn(id, { prompt }).then(
        ({ text }) => {
          good.set(id, (good.get(id) ?? 0) + 1);
          seen.set(id, Number(text));
        },
        (error: SessionError) => expect(["HOST_OVERLOADED", "SESSION_BUSY"], `seed ${seed}`).toContain(error.code),
      );
      calls.push(call.finally(() => void settledCalls++));
      if (upTo(8) === 0)
        calls.push(
          service
            .readHistory(id)
            .then(
              () => {},
              (error: SessionError) => expect(error.code).toBe("HOST_OVERLOADED"),
            )
            .finally(() => void settledCalls++),
        );
    }
    if (upTo(3) === 0) await sleep(upTo(20));
  }
  await settled(Promise.all(calls));
  expect(settledCalls).toBe(calls.length);
  // The agent counts how often it was entered: once for every call that succeeded, in the order they were let in.
  expect(Object.fromEntries(seen), `seed ${seed}`).toEqual(Object.fromEntries(good));
  // What was sent last, such as a credit, may still be on its way when the last call has settled.
  const atRest = { turns: { running: 0 }, lanes: [{ queuedRecords: 0 }, { queuedRecords: 0 }] };
  await expect.poll(() => service.inspect(), { timeout: 10_000 }).toMatchObject(atRest);
});
