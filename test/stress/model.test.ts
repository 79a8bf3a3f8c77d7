/**
 * Random, overlapping calls against a host of real lanes, checked against the model in host-model.ts.
 *
 * A failure prints fast-check's seed and path; run it again with STRESS_SEED=… STRESS_PATH=…. STRESS_RUNS sets how many schedules.
 */
import { setTimeout as sleep } from "node:timers/promises";

import fc from "fast-check";
import { expect, test } from "vitest";

import { EphemeralSessionService } from "../../dist/src/index.js";
import type { TurnPlan } from "./host-model.ts";
import { HostModel } from "./host-model.ts";

const MAX_SESSIONS = 6;
const agent = new URL("../fixtures/model-agent.mjs", import.meta.url);

const plan: fc.Arbitrary<TurnPlan> = fc.record({
  events: fc.oneof({ weight: 6, arbitrary: fc.nat(12) }, { weight: 1, arbitrary: fc.integer({ min: 250, max: 600 }) }),
  ms: fc.constantFrom(0, 0, 0, 1, 5),
  ending: fc.constantFrom("return", "return", "return", "throw"),
});
const at = fc.nat(MAX_SESSIONS * 2);
const operation = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("create" as const), plan: fc.option(plan, { nil: undefined }) }) },
  { weight: 12, arbitrary: fc.record({ do: fc.constant("start" as const), at, plan }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("interrupt" as const), at }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("archive" as const), at }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("read" as const), at }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("list" as const) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("pause" as const), ms: fc.constantFrom(0, 0, 1, 3) }) },
);

test("one running turn a session, every call settles once, capacity holds, seq is gapless, events come before results", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { minLength: 20, maxLength: 120 }), fc.integer({ min: 1, max: 3 }), async (operations, lanes) => {
      const service = await EphemeralSessionService.open({ agent, maxSessions: MAX_SESSIONS, lanes: { count: lanes } });
      try {
        const model = new HostModel(service, MAX_SESSIONS);
        for (const step of operations) {
          if (step.do === "create") model.create(step.plan);
          else if (step.do === "start") model.start(step.at, step.plan);
          else if (step.do === "interrupt") model.interrupt(step.at);
          else if (step.do === "archive") model.archive(step.at);
          else if (step.do === "read") model.read(step.at);
          else if (step.do === "list") model.list();
          else await sleep(step.ms);
          const { live, building } = service.inspect().sessions;
          expect(live + building, "capacity is never exceeded").toBeLessThanOrEqual(MAX_SESSIONS);
        }
        await model.settle();
        await expectNothingLeaks(service);
      } finally {
        await service.shutdown();
      }
    }),
    {
      numRuns: Number(process.env["STRESS_RUNS"] ?? 25),
      ...(process.env["STRESS_SEED"] && { seed: Number(process.env["STRESS_SEED"]) }),
      ...(process.env["STRESS_PATH"] && { path: process.env["STRESS_PATH"] }),
      endOnFailure: true,
    },
  );
});

/** With every session archived, nothing is held any more, and the host takes as many as before. */
async function expectNothingLeaks(service: EphemeralSessionService): Promise<void> {
  for (const { sessionId } of await service.list()) await service.archive(sessionId);
  await expect.poll(() => service.inspect().slots.allocated, { timeout: 10_000 }).toBe(0);
  expect(service.inspect()).toMatchObject({ sessions: { live: 0, building: 0 }, turns: { running: 0 } });
  expect(service.inspect().lanes.map(({ sessions }) => sessions)).toEqual(service.inspect().lanes.map(() => 0));
  const refilled = await Promise.all(
    Array.from({ length: MAX_SESSIONS }, () => service.createSession({ prompt: "", initialTurn: "defer" })),
  );
  expect(refilled).toHaveLength(MAX_SESSIONS);
}
