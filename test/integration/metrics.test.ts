/** Metrics of hosts at work: what a scrape says before and after turns. */
import { describe, expect, test } from "vitest";

import { createMetrics } from "../../dist/src/server/metrics.js";
import type { Metrics, ObservableService } from "../../dist/src/server/metrics.js";
import { METRICS } from "../../src/server/metric-table.ts";
import { deferred, errorOf, gate, hosts, script } from "../helpers/hosts.ts";
import { persistentHosts } from "../helpers/persistent-hosts.ts";
import type { Family } from "../helpers/prometheus.ts";
import { parsePrometheus, valueOf } from "../helpers/prometheus.ts";

/** Metrics of a service that are closed when the test has used them. */
async function measured<T>(
  service: ObservableService,
  use: (scrape: () => Promise<Map<string, Family>>, metrics: Metrics) => Promise<T>,
): Promise<T> {
  const metrics = createMetrics(service);
  try {
    return await use(async () => parsePrometheus(await metrics.text()), metrics);
  } finally {
    metrics.close();
  }
}

describe("a host without a store", () => {
  const open = hosts();

  test("every metric of the table is there, with its help and its type, and nothing else", async () => {
    const service = await open();
    await measured(service, async (scrape, { contentType }) => {
      expect(contentType).toContain("text/plain");
      const families = await scrape();
      const rows = METRICS.flatMap(([, group]) => group);
      expect([...families.keys()].sort()).toEqual(rows.map(({ name }) => name).sort());
      for (const { name, help, type } of rows) expect(families.get(name)).toMatchObject({ type, help });
      for (const { name, labels = [] } of rows) {
        for (const sample of families.get(name)?.samples ?? []) {
          expect(
            Object.keys(sample.labels)
              .filter((label) => label !== "le")
              .sort(),
          ).toEqual([...labels].sort());
        }
      }
    });
  });

  test("turns move the counters by as many as there were, by outcome", async () => {
    const service = await open();
    await measured(service, async (scrape, metrics) => {
      const id = await deferred(service);
      for (const text of ["a", "b", "c"]) await service.startTurn(id, { prompt: script(["return", text]) });
      await errorOf(service.startTurn(id, { prompt: script(["throw", "no"]) }));
      const running = gate();
      const hanging = errorOf(service.startTurn(id, { prompt: script(["hang"]) }, { onAdmitted: () => running.open() }));
      await running.promise;
      const during = await scrape();
      expect(valueOf(during, "warren_turns_running")).toBe(1);
      expect(valueOf(during, "warren_lane_turns_running", { lane: "0" })).toBe(1);
      await service.interrupt(id);
      await hanging;
      await errorOf(service.startTurn("0199c2f0-0000-7000-8000-000000000000", { prompt: "" }));

      const after = await scrape();
      expect(valueOf(after, "warren_turns_started_total")).toBe(5);
      const settled = (outcome: string): unknown => [
        valueOf(after, "warren_turns_settled_total", { outcome }),
        valueOf(after, "warren_turn_duration_seconds_count", { outcome }),
      ];
      expect(settled("completed")).toEqual([3, 3]);
      expect(settled("failed")).toEqual([1, 1]);
      expect(settled("cancelled")).toEqual([1, 1]);
      expect(settled("lost")).toEqual([0, 0]);
      expect(valueOf(after, "warren_turn_duration_seconds_sum", { outcome: "completed" })).toBeGreaterThan(0);
      expect(valueOf(after, "warren_turns_running")).toBe(0);
      expect(valueOf(after, "warren_host_events_total", { type: "interrupt_asked" })).toBe(1);
      expect(valueOf(after, "warren_lane_turns_settled_total", { lane: "0" })).toBe(5);
      expect(valueOf(after, "warren_lane_turns_failed_total", { lane: "0" })).toBe(2);
      expect(valueOf(after, "warren_sessions_live")).toBe(1);
      expect(valueOf(after, "warren_lanes", { kind: "shared", state: "ready" })).toBe(1);
      expect(valueOf(after, "warren_store_open")).toBeUndefined();
      expect(valueOf(after, "process_resident_memory_bytes")).toBeGreaterThan(0);

      const { turnsPerS, latencyMs, windowS } = metrics.recent();
      expect(Math.round(turnsPerS * windowS)).toBe(5);
      expect(latencyMs?.p50).toBeGreaterThan(0);
      expect(latencyMs?.p99).toBeGreaterThanOrEqual(latencyMs?.p50 ?? Infinity);
    });
  });

  test("events are counted as they come, as they are handed on, and as they are lost", async () => {
    const service = await open();
    await measured(service, async (scrape) => {
      const id = await deferred(service);
      const slow = service.subscribeSessionEvents(id, { bufferSize: 2 });
      const seen: unknown[] = [];
      await service.startTurn(id, { prompt: script(["emit", 5]), onEvent: (event) => void seen.push(event) });
      const families = await scrape();
      expect(seen.length).toBeGreaterThan(2);
      expect(valueOf(families, "warren_events_total")).toBe(seen.length);
      expect(valueOf(families, "warren_events_delivered_total")).toBe(2 * seen.length);
      expect(valueOf(families, "warren_events_lost_total")).toBe(seen.length - 2);
      expect(valueOf(families, "warren_subscribers")).toBe(1);
      await slow.return?.();
    });
  });

  test("dedicated lanes are not told apart", async () => {
    const service = await open();
    await measured(service, async (scrape) => {
      await deferred(service, { isolation: "dedicated" });
      await deferred(service, { isolation: "dedicated" });
      const families = await scrape();
      expect(valueOf(families, "warren_lane_sessions", { lane: "dedicated" })).toBe(2);
      expect(valueOf(families, "warren_lanes", { kind: "dedicated", state: "ready" })).toBe(2);
      expect(families.get("warren_lane_frames_total")?.samples.map(({ labels }) => labels["lane"])).toEqual(["0", "0"]);
    });
  });

  test("M2: what is closed watches no more, and a host that is closed can still be scraped", async () => {
    const service = await open();
    const metrics = createMetrics(service);
    const id = await deferred(service);
    await service.startTurn(id, { prompt: script(["return", "a"]) });
    metrics.close();
    await service.startTurn(id, { prompt: script(["return", "b"]) });
    await service.shutdown({ deadlineMs: 0 });
    const families = parsePrometheus(await metrics.text());
    expect(valueOf(families, "warren_turns_started_total")).toBe(1);
    expect(valueOf(families, "warren_host_open")).toBe(0);
    metrics.close();
  });

  test("W2: an observer that throws harms no turn", async () => {
    const service = await open();
    const told: string[] = [];
    const end = service.observe({
      onTurnAdmitted: () => {
        told.push("admitted");
        throw new Error("no");
      },
      onTurnSettled: ({ outcome, lane }) => {
        told.push(`${outcome} in ${lane}`);
        throw new Error("no");
      },
    });
    const id = await deferred(service);
    await expect(service.startTurn(id, { prompt: script(["return", "a"]) })).resolves.toMatchObject({ text: "a" });
    end();
    await service.startTurn(id, { prompt: script(["return", "b"]) });
    expect(told).toEqual(["admitted", "completed in 0"]);
  });
});

describe("a host with a store", () => {
  const { open, folder } = persistentHosts();

  test("the store's thread says what its calls and commits cost", async () => {
    const service = await open({ store: { kind: "lmdb", path: folder() } });
    await measured(service, async (scrape) => {
      const id = await deferred(service);
      const before = await scrape();
      for (let turn = 0; turn < 4; turn++) await service.startTurn(id, { prompt: script(["return", "a"]) });
      const after = await scrape();
      const grown = (sample: string): number => (valueOf(after, sample) ?? NaN) - (valueOf(before, sample) ?? NaN);
      expect(valueOf(after, "warren_store_open")).toBe(1);
      expect(valueOf(after, "warren_store_calls_outstanding")).toBe(0);
      // Each turn is one call and, as nothing else goes on, one commit; the first scrape was a call as well.
      expect(grown("warren_store_call_duration_seconds_count")).toBe(5);
      expect(grown("warren_store_commit_duration_seconds_count")).toBe(4);
      expect(grown("warren_store_commit_calls_sum")).toBe(4);
      expect(grown("warren_store_commit_duration_seconds_sum")).toBeGreaterThan(0);
      expect(valueOf(after, "warren_store_calls_failed_total")).toBe(0);
    });
  });

  test("W1: a turn that waits for its session to wake is told of once, also when it never reaches a lane", async () => {
    const service = await open();
    await measured(service, async (scrape) => {
      const id = await deferred(service);
      await service.hibernate(id);
      await service.startTurn(id, { prompt: script(["return", "a"]) });
      await service.hibernate(id);
      const interrupted = errorOf(service.startTurn(id, { prompt: script(["return", "a"]) }));
      await service.interrupt(id);
      expect((await interrupted).agentError?.kind).toBe("cancelled");
      const families = await scrape();
      expect(valueOf(families, "warren_turns_started_total")).toBe(2);
      expect(valueOf(families, "warren_turns_settled_total", { outcome: "completed" })).toBe(1);
      expect(valueOf(families, "warren_turns_settled_total", { outcome: "cancelled" })).toBe(1);
      expect(valueOf(families, "warren_sessions_hibernated_total")).toBe(2);
      expect(valueOf(families, "warren_store_commit_duration_seconds_count")).toBeUndefined();
    });
  });

  test("M1: a store whose thread has ended holds no scrape up", async () => {
    const service = await open();
    await measured(service, async (scrape) => {
      await service.shutdown({ deadlineMs: 0 });
      expect(valueOf(await scrape(), "warren_store_calls_outstanding")).toBeUndefined();
    });
  });
});
