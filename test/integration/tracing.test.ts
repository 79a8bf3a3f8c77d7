/** Spans of turns, from the caller's over the dispatcher and the lane to the store. */
import type { ReadableSpan } from "@opentelemetry/sdk-trace-base";
import { AlwaysOffSampler } from "@opentelemetry/sdk-trace-base";
import { afterEach, describe, expect, test } from "vitest";

import { deferred, errorOf, gate, hosts } from "../helpers/hosts.ts";
import { persistentHosts } from "../helpers/persistent-hosts.ts";
import { Spans, inSpan, namesOf } from "../helpers/spans.ts";

const TRACED = new URL("../fixtures/traced.mjs", import.meta.url);
const spans = new Spans();
afterEach(() => spans.unregister());

const open = hosts();
const { open: openPersistent } = persistentHosts({ agent: TRACED, tracing: true });
const openTraced = (): ReturnType<typeof open> => open({ agent: TRACED, tracing: true });

const startOf = ({ startTime: [s, ns] }: ReadableSpan): number => s * 1000 + ns / 1e6;
const endOf = ({ endTime: [s, ns] }: ReadableSpan): number => s * 1000 + ns / 1e6;
const named = (name: string): ReadableSpan => spans.all.find((span) => span.name === name) as ReadableSpan;

describe("a turn that is traced", () => {
  test("its span is the caller's child, and its lane's run is its own, within its time", async () => {
    spans.register();
    const service = await openTraced();
    const id = await deferred(service);
    const { value, span } = await inSpan("caller", () => service.startTurn(id, { prompt: "" }));

    expect(spans.trees().map(namesOf)).toEqual([["warren.session.create"], ["caller", ["warren.turn", ["warren.lane.run"]]]]);
    const turn = named("warren.turn");
    const { traceId, spanId } = turn.spanContext();
    expect(traceId).toBe(span.spanContext().traceId);
    expect(value.text).toBe(`00-${traceId}-${spanId}-01`);
    expect(turn.attributes).toMatchObject({
      "warren.session.id": id,
      "warren.turn.ticket": expect.any(Number),
      "warren.turn.outcome": "completed",
      "warren.lane": 0,
      "warren.agent": "default",
    });
    expect(turn.attributes["warren.turn.wait_ms"]).toBeGreaterThanOrEqual(0);
    const run = named("warren.lane.run");
    expect(startOf(run)).toBeGreaterThanOrEqual(startOf(turn));
    expect(endOf(run)).toBeLessThanOrEqual(endOf(turn));
    expect(endOf(run)).toBeGreaterThanOrEqual(startOf(run));
  });

  test("the first turn of a session is a child of its create", async () => {
    spans.register();
    const service = await openTraced();
    const { sessionId } = await service.createSession({ prompt: "" });
    expect(spans.trees()).toMatchObject([
      {
        name: "warren.session.create",
        attributes: { "warren.session.id": sessionId, "warren.agent": "default" },
        children: [{ name: "warren.turn", children: [{ name: "warren.lane.run" }] }],
      },
    ]);
  });

  test("a turn that is saved says when, also when its session had to be woken for it", async () => {
    spans.register();
    const service = await openPersistent();
    const id = await deferred(service);
    await service.startTurn(id, { prompt: "" });
    await service.hibernate(id);
    const woken = await service.startTurn(id, { prompt: "" });
    const turn = ["warren.turn", ["warren.lane.run"], ["warren.store.append"]];
    expect(spans.trees().map(namesOf)).toEqual([["warren.session.create"], turn, turn]);
    expect(woken.text).toContain(
      spans.all
        .filter(({ name }) => name === "warren.turn")
        .at(-1)
        ?.spanContext().spanId,
    );
    expect(startOf(named("warren.store.append"))).toBeGreaterThanOrEqual(endOf(named("warren.lane.run")));
    expect(endOf(named("warren.store.append"))).toBeLessThanOrEqual(endOf(named("warren.turn")));
  });

  test("what failed says so, and what", async () => {
    spans.register();
    const service = await openTraced();
    const id = await deferred(service);
    await errorOf(service.startTurn(id, { prompt: "fail" }));
    const error = { status: "error", attributes: { "error.type": "internal_error" } };
    expect(spans.trees().at(-1)).toMatchObject({
      name: "warren.turn",
      ...error,
      attributes: { ...error.attributes, "warren.turn.outcome": "failed" },
      children: [{ name: "warren.lane.run", ...error }],
    });
    await errorOf(service.createSession({ prompt: "fail" }));
    expect(spans.trees().at(-1)).toMatchObject({ name: "warren.session.create", ...error, children: [{ name: "warren.turn", ...error }] });
  });

  test("so does what was interrupted, ephemeral and kept, in its lane and on its way there", async () => {
    spans.register();
    const cancelled = {
      name: "warren.turn",
      status: "error",
      attributes: { "warren.turn.outcome": "cancelled", "error.type": "cancelled" },
    };
    const run = { name: "warren.lane.run", status: "error" };
    for (const service of [await openTraced(), await openPersistent()]) {
      const id = await deferred(service);
      const started = gate();
      const waiting = errorOf(service.startTurn(id, { prompt: "wait", onEvent: () => {} }, { onAdmitted: () => started.open() }));
      await started.promise;
      await service.startTurn(await deferred(service), { prompt: "" }); // the lane has taken it up
      await service.interrupt(id);
      await waiting;
      expect(spans.trees().find(({ attributes }) => attributes["warren.turn.outcome"] === "cancelled")).toMatchObject({
        ...cancelled,
        children: [run],
      });
      spans.unregister();
      spans.register();
    }
    const service = await openPersistent();
    const id = await deferred(service);
    await service.hibernate(id);
    const waking = errorOf(service.startTurn(id, { prompt: "" }));
    await service.interrupt(id);
    await waking;
    expect(spans.trees().at(-1)).toMatchObject({ ...cancelled, children: [] });
  });

  test("P3: no span holds what was said", async () => {
    spans.register();
    const service = await openPersistent();
    await service.createSession({ prompt: "a secret of the caller", labels: { name: "a secret label" } });
    expect(spans.all.length).toBeGreaterThan(2);
    expect(JSON.stringify(spans.all.map(({ name, attributes, events, status }) => ({ name, attributes, events, status })))).not.toContain(
      "secret",
    );
  });
});

describe("P1: what is not traced costs nothing", () => {
  test("without a provider nothing is made, and the agent sees no trace", async () => {
    const service = await openTraced();
    const { text, sessionId } = await service.createSession({ prompt: "" });
    expect(text).toBe("undefined");
    expect((await service.startTurn(sessionId, { prompt: "" })).text).toBe("undefined");
    expect(spans.all).toEqual([]);
  });

  test("a host that was not told to trace does not, whoever is registered", async () => {
    spans.register();
    const service = await open({ agent: TRACED });
    const { value } = await inSpan("caller", () => service.createSession({ prompt: "" }));
    expect(value.text).toBe("undefined");
    expect(spans.trees().map(namesOf)).toEqual([["caller"]]);
  });

  test("a trace that is not sampled is passed on to the agent, and nothing is measured", async () => {
    spans.register(new AlwaysOffSampler());
    const service = await openTraced();
    const { text } = await service.createSession({ prompt: "" });
    expect(text).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
    expect(spans.all).toEqual([]);
  });
});
