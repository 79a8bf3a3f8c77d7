/** Consumers that are slow, stuck or broken: what an agent can have outstanding is bounded, and nobody else feels it. */
import { describe, expect, test } from "vitest";

import type { EventEnvelope } from "../../dist/src/index.js";
import { codeOf, deferred, errorOf, gate, hosts, kindOf, script, settled, sharedHost, sleep, until } from "../helpers/hosts.ts";

const WINDOW = 256;

describe("with patient limits", () => {
  const host = sharedHost();

  test("B5: an agent whose consumer takes nothing may emit exactly one window", async () => {
    const id = await deferred(host());
    const open = gate();
    let delivered = 0;
    const onEvent = (): Promise<void> => {
      delivered++;
      return open.promise;
    };
    const turn = host().startTurn(id, { prompt: script(["emitUntilBlocked", 2000]), onEvent });
    await sleep(100);
    // One is with the consumer, the others wait for it on main; the agent waits with its next.
    expect({ delivered, isActive: (await host().read(id)).state.isActive }).toEqual({ delivered: 1, isActive: true });
    open.open();
    expect((await settled(turn)).text).toBe(`${WINDOW}`);
    expect(delivered).toBe(WINDOW + 1);
  });

  test("B5: a slow consumer is never more than a window behind, and gets everything in order", async () => {
    const id = await deferred(host());
    const stream = host().subscribeSessionEvents(id, { bufferSize: 5000 });
    const seen: number[] = [];
    let outstanding = 0;
    let emitted = 0;
    const onEvent = async ({ seq }: EventEnvelope): Promise<void> => {
      while (stream.tryNext()) emitted++;
      outstanding = Math.max(outstanding, emitted - seen.length);
      if (seq % 50 === 0) await sleep(1);
      seen.push(seq);
    };
    await settled(host().startTurn(id, { prompt: script(["emit", 2000]), onEvent }));
    expect(seen).toEqual(Array.from({ length: 2000 }, (_, i) => i + 1));
    expect(outstanding).toBeGreaterThan(1);
    expect(outstanding).toBeLessThanOrEqual(WINDOW);
  });

  test("B5: onEvent is called in order and never while its last promise is pending", async () => {
    const id = await deferred(host());
    let isInside = false;
    let overlaps = 0;
    const seen: number[] = [];
    const onEvent = ({ seq }: EventEnvelope): void | Promise<void> => {
      if (isInside) overlaps++;
      seen.push(seq);
      if (seq % 3 !== 0) return undefined;
      isInside = true;
      return sleep(0).then(() => void (isInside = false));
    };
    await host().startTurn(id, { prompt: script(["emitUnawaited", 300]), onEvent });
    expect({ overlaps, seen }).toEqual({ overlaps: 0, seen: Array.from({ length: 300 }, (_, i) => i + 1) });
  });

  test("B5: startTurn settles behind the last onEvent, for failures as well", async () => {
    const id = await deferred(host());
    for (const [last, code] of [
      [["say", "x"], "ok"],
      [["fail", "x"], "AGENT_ERROR"],
    ] as const) {
      let handled = 0;
      const onEvent = (): Promise<void> => sleep(10).then(() => void handled++);
      expect(await codeOf(host().startTurn(id, { prompt: script(["emit", 5], last), onEvent }))).toBe(code);
      expect(handled).toBe(5);
    }
  });

  test("R8: without any consumer, or with subscribers that never read, an agent is not held back", async () => {
    const id = await deferred(host());
    expect((await host().startTurn(id, { prompt: script(["emitUntilBlocked", 3000]) })).text).toBe("never, in 3000");
    host().subscribeSessionEvents(id);
    host().subscribeSessionEvents(id, { bufferSize: 1 });
    expect((await settled(host().startTurn(id, { prompt: script(["emit", 3000]) }))).text).toBe("done");
  });

  test("R8: a slow caller holds back its own turn only; subscribers of the session still get everything", async () => {
    const id = await deferred(host());
    const stream = host().subscribeSessionEvents(id, { bufferSize: 1000 });
    const open = gate();
    const slow = host().startTurn(id, { prompt: script(["emit", 600]), onEvent: () => open.promise });
    const other = await deferred(host());
    for (let i = 0; i < 10; i++) await settled(host().startTurn(other, { prompt: script(["emit", 10]) }));
    expect((await host().read(id)).state.isActive).toBe(true);
    open.open();
    await settled(slow);
    let count = 0;
    while (stream.tryNext()) count++;
    expect(count).toBe(600);
  });

  test.each([
    [
      "throws",
      () => {
        throw new Error("broken");
      },
    ],
    ["rejects", () => Promise.reject(new Error("broken"))],
    [
      "throws no error",
      () => {
        throw undefined;
      },
    ],
  ] as [string, () => void][])("B4, R8: an onEvent that %s is detached; turn, subscribers and later turns go on", async (_, broken) => {
    const id = await deferred(host());
    const stream = host().subscribeSessionEvents(id, { bufferSize: 2000 });
    let calls = 0;
    const onEvent = (): void => {
      calls++;
      return broken();
    };
    const result = await settled(host().startTurn(id, { prompt: script(["emit", 1000]), onEvent }));
    expect({ text: result.text, calls }).toEqual({ text: "done", calls: 1 });
    let count = 0;
    while (stream.tryNext()) count++;
    expect(count).toBe(1000);
    const seen: number[] = [];
    await host().startTurn(id, { prompt: script(["emit", 2]), onEvent: ({ seq }) => void seen.push(seq) });
    expect(seen).toEqual([1001, 1002]);
  });

  test("B4, R8: a broken onEvent does not hold up what its agent emitted without waiting", async () => {
    const id = await deferred(host());
    const onEvent = (): never => {
      throw new Error("broken");
    };
    expect((await settled(host().startTurn(id, { prompt: script(["emitUnawaited", 1000]), onEvent }), "the turn")).text).toBe("done");
  });

  test("B5: emitting without waiting beyond the bound fails the turn, typed, and the session stays usable", async () => {
    const id = await deferred(host());
    const open = gate();
    const flood = (events: number, bytes = 0) =>
      host().startTurn(id, { prompt: script(["emitUnawaited", events, bytes]), onEvent: () => open.promise });
    const many = flood(WINDOW + 1025);
    await sleep(50);
    open.open();
    expect(await errorOf(settled(many))).toMatchObject({ code: "AGENT_ERROR", disposition: "bug", agentError: { kind: "event_flood" } });
    expect((await host().read(id)).state).toMatchObject({ messageCount: 0, isActive: false });
    expect(await codeOf(host().startTurn(id, { prompt: "next" }))).toBe("ok");
  });

  test("B5: the bound counts bytes as well", async () => {
    const id = await deferred(host());
    const open = gate();
    const turn = host().startTurn(id, { prompt: script(["emitUnawaited", WINDOW + 20, 600_000]), onEvent: () => open.promise });
    await sleep(200);
    open.open();
    expect(await kindOf(settled(turn))).toBe("event_flood");
  });

  test("B5: one window and the whole backlog, emitted without waiting, all arrive", async () => {
    const id = await deferred(host());
    let handled = 0;
    await settled(
      host().startTurn(id, { prompt: script(["emitUnawaited", WINDOW + 1024]), onEvent: () => sleep(0).then(() => void handled++) }),
    );
    expect(handled).toBe(WINDOW + 1024);
  });
});

describe("with an impatient stall limit", () => {
  const openHost = hosts();

  test("B4, R8: a consumer that makes no progress is detached, and the turn goes on without it", async () => {
    const warnings: unknown[] = [];
    const logger = { info: () => {}, warn: (fields: object) => void warnings.push(fields), error: () => {} };
    const service = await openHost({ consumerStallMs: 60, logger });
    const id = await deferred(service);
    let calls = 0;
    const stuck = (): Promise<void> => {
      calls++;
      return new Promise(() => {});
    };
    expect((await settled(service.startTurn(id, { prompt: script(["emit", 1000]), onEvent: stuck }))).text).toBe("done");
    expect({ calls, warnings: warnings.length }).toEqual({ calls: 1, warnings: 1 });
    service.subscribeSessionEvents(id);
    expect(
      (await settled(service.startTurn(id, { prompt: script(["emit", 1000]), onEvent: stuck }), "with a subscriber, the turn")).text,
    ).toBe("done");
    // Slow but moving is not stalled.
    let handled = 0;
    await settled(service.startTurn(id, { prompt: script(["emit", 10]), onEvent: () => sleep(20).then(() => void handled++) }));
    expect(handled).toBe(10);
  });

  test("B4: a consumer that stalls on the last event delays the result no longer than the limit", async () => {
    const service = await openHost({ consumerStallMs: 60 });
    const id = await deferred(service);
    expect(await codeOf(settled(service.startTurn(id, { prompt: script(["emit", 1]), onEvent: () => new Promise(() => {}) })))).toBe("ok");
  });

  test("B4, G6: a lane that is lost answers its caller although its consumer is stuck", async () => {
    const service = await openHost({ consumerStallMs: 200 });
    const id = await deferred(service);
    const turn = service.startTurn(id, { prompt: script(["emit", 1], ["sleep", 20], ["exit", 1]), onEvent: () => new Promise(() => {}) });
    expect(await kindOf(settled(turn))).toBe("lane_lost");
    await until("the lane is replaced", () => service.inspect().lanes.some(({ state }) => state === "ready"));
  });
});
