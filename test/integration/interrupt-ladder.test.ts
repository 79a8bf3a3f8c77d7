/** What happens to agents that ignore their interrupt: given up while the lane's loop lives, else the lane is killed. */
import { expect, test } from "vitest";

import type { EphemeralSessionService, EventEnvelope, HostEvent, RunResult } from "../../dist/src/index.js";
import { RECORDING, SCRIPTED, codeOf, deferred, errorOf, gate, hosts, kindOf, script, settled, sleep, until } from "../helpers/hosts.ts";

const GRACE_MS = 100;
const openHost = hosts();

/** Start a turn and wait until its agent runs. */
async function running(
  service: EphemeralSessionService,
  id: string,
  ...steps: Parameters<typeof script>
): Promise<{ turn: Promise<RunResult> }> {
  const started = gate();
  const turn = service.startTurn(id, { prompt: script(["emit", 1], ["sleepThrough", 1], ...steps), onEvent: () => started.open() });
  turn.catch(() => {});
  await started.promise;
  return { turn };
}

test("R6: an agent that ignores its interrupt beyond the grace is given up; session and neighbours go on", async () => {
  const service = await openHost({ interruptGraceMs: GRACE_MS });
  const [id, neighbour] = [await deferred(service), await deferred(service)];
  await service.startTurn(id, { prompt: "before" });
  await service.startTurn(neighbour, { prompt: "before" });
  const { turn } = await running(service, id, ["hang"]);
  await service.interrupt(id);
  expect(await codeOf(service.startTurn(id, { prompt: "x" }))).toBe("SESSION_BUSY");
  expect(await kindOf(settled(turn))).toBe("cancelled");
  expect((await service.read(id)).state).toMatchObject({ isActive: false, messageCount: 2, lastAssistantText: "before" });
  // A fresh agent from the last boundary.
  const seen = await service.startTurn(id, { prompt: script(["see", "state"]) });
  expect(JSON.parse(seen.text)).toEqual({ state: { agentName: "default", notes: [], resumed: 2 } });
  expect((await service.read(neighbour)).state.messageCount).toBe(2);
  expect(service.inspect()).toMatchObject({ lanesLost: 0, turns: { running: 0 } });
});

test("R6: each step up the ladder is a host event and counted; interrupts beyond the first are no-ops", async () => {
  const events: HostEvent[] = [];
  const service = await openHost({ interruptGraceMs: GRACE_MS, onHostEvent: (event) => void events.push(event) });
  const id = await deferred(service);
  const ignored = await running(service, id, ["hang"]);
  for (let i = 0; i < 5; i++) await service.interrupt(id);
  expect(await kindOf(settled(ignored.turn))).toBe("cancelled");
  expect(events).toMatchObject([
    { type: "interrupt_asked", lane: 0, sessionId: id, details: { reason: "interrupt" } },
    { type: "run_abandoned", lane: 0, sessionId: id, ticket: events[0]?.ticket },
  ]);
  const blocking = await running(service, id, ["spinBlind", 60_000]);
  await service.interrupt(id);
  expect(await kindOf(settled(blocking.turn))).toBe("lane_lost");
  expect(events.slice(2).map(({ type }) => type)).toEqual(expect.arrayContaining(["interrupt_asked", "lane_killed", "lane_lost"]));
  expect(events.find(({ type }) => type === "lane_killed")).toMatchObject({ sessionId: id, ticket: events[2]?.ticket });
  expect(service.inspect().events).toMatchObject({ interrupt_asked: 2, run_abandoned: 1, lane_killed: 1, lane_lost: 1 });
});

test("R6, R8: what a given-up run does later reaches nobody: not its events, messages, usage, nor its result", async () => {
  const service = await openHost({ interruptGraceMs: GRACE_MS });
  const id = await deferred(service);
  const stream = service.subscribeSessionEvents(id);
  const late = [
    ["sleepThrough", GRACE_MS + 200],
    ["emit", 3, 100],
    ["append", { role: "user", content: "late" }],
    ["addUsage", { inputTokens: 999 }],
  ] as const;
  const turn = service.startTurn(id, { prompt: script(["emit", 2], ...late, ["say", "late result"]) });
  await until("it has emitted", () => service.inspect().turns.running === 1 && stream.tryNext()?.seq === 1);
  await service.interrupt(id);
  expect(await kindOf(turn)).toBe("cancelled");
  const events: EventEnvelope[] = [];
  const next = await service.startTurn(id, {
    prompt: script(["emit", 1, 50], ["sleep", 400], ["emit", 1, 51]),
    onEvent: (event) => void events.push(event),
  });
  expect(next.text).toBe("done");
  expect(events.map(({ payload }) => payload["delta" as never])).toEqual(["50", "51"]);
  const view = await service.read(id);
  expect({ ...view.state, ...view.billing }).toMatchObject({ messageCount: 2, totalTokens: 5, lastAssistantText: "done" });
  // seq goes on where the rebuilt session stopped: no gap, nothing twice.
  expect(events.map(({ seq }) => seq)).toEqual([3, 4]);
});

test("A29, R6: a given-up run cannot take the system context staged for the next turn", async () => {
  const service = await openHost({ interruptGraceMs: GRACE_MS });
  const id = await deferred(service);
  const { turn } = await running(service, id, ["sleepThrough", GRACE_MS + 150], ["takeSystemPrompt"]);
  await service.interrupt(id);
  expect(await kindOf(turn)).toBe("cancelled");
  await service.appendSystemContext(id, { text: "for the next turn" });
  await sleep(300); // the abandoned run takes its system prompt meanwhile
  expect((await service.systemContextState(id))?.pending).toHaveLength(1);
  const { text } = await service.startTurn(id, { prompt: script(["takeSystemPrompt"]) });
  expect(text).toContain("for the next turn");
});

test("R6: an agent that cannot be rebuilt fails every further turn, typed, and can be archived", async () => {
  const service = await openHost({ agent: RECORDING, interruptGraceMs: GRACE_MS });
  const id = await deferred(service, { build: { cloneThrows: true } });
  const { turn } = await running(service, id, ["hang"]);
  await service.interrupt(id);
  expect(await kindOf(settled(turn))).toBe("cancelled");
  expect(await kindOf(settled(service.startTurn(id, { prompt: "x" })))).toBe("internal_error");
  expect(await codeOf(settled(service.exportSession(id)))).toBe("AGENT_ERROR");
  await service.archive(id);
  await until("it has left", () => service.inspect().slots.allocated === 0);
});

test("R6: the caller of a given-up turn is answered although the agent's rebuild never ends", async () => {
  const service = await openHost({ agent: RECORDING, interruptGraceMs: GRACE_MS });
  const id = await deferred(service, { build: { rebuildHangs: true } });
  const { turn } = await running(service, id, ["hang"]);
  await service.interrupt(id);
  expect(await kindOf(settled(turn, "the given-up turn"))).toBe("cancelled");
});

test("A14, R10, G6: a busy loop that never polls is killed with its lane; its callers get typed errors; a new lane serves", async () => {
  const service = await openHost({ agent: SCRIPTED, interruptGraceMs: GRACE_MS, lanes: { count: 2 } });
  // The emptier lane is chosen, so two sessions live in two lanes.
  const [id, elsewhere] = [await deferred(service), await deferred(service)];
  const { turn } = await running(service, id, ["spinBlind", 120_000]);
  await settled(service.interrupt(id));
  expect(await codeOf(service.startTurn(elsewhere, { prompt: "x" }))).toBe("ok");
  const error = await errorOf(settled(turn));
  expect(error).toMatchObject({
    code: "AGENT_ERROR",
    sessionId: id,
    agentError: { kind: "lane_lost" },
    details: { outcome: "not_committed" },
    disposition: "retry",
  });
  expect(await codeOf(service.read(id))).toBe("SESSION_NOT_FOUND");
  expect(await codeOf(service.startTurn(id, { prompt: "x" }))).toBe("SESSION_NOT_FOUND");
  expect(await service.list()).toHaveLength(1);
  const { sessionId } = await settled(service.createSession({ prompt: "in the new lane" }));
  expect(await codeOf(service.startTurn(sessionId, { prompt: "x" }))).toBe("ok");
  expect(service.inspect()).toMatchObject({ lanesLost: 1, turns: { running: 0 }, sessions: { live: 2 } });
});

test("A14: a busy loop that nobody interrupts is left alone", async () => {
  const service = await openHost({ interruptGraceMs: GRACE_MS });
  const id = await deferred(service);
  expect(await codeOf(service.startTurn(id, { prompt: script(["spinBlind", GRACE_MS + 800]) }))).toBe("ok");
  expect(service.inspect().lanesLost).toBe(0);
});

test("A14, R10: a blocked lane that nobody interrupts is killed where the operator asked for it, and only reported otherwise", async () => {
  const reports: unknown[] = [];
  const note = (fields: object): void => void reports.push(fields);
  const logger = { info: note, warn: note, error: note };
  const killing = await openHost({ laneStallMs: 600, laneStallPolicy: "kill", logger });
  const { turn } = await running(killing, await deferred(killing), ["spinBlind", 120_000]);
  expect(await kindOf(settled(turn, "the turn in a lane to be killed"))).toBe("lane_lost");
  reports.length = 0;
  const reporting = await openHost({ laneStallMs: 600, logger });
  const { turn: long } = await running(reporting, await deferred(reporting), ["spinBlind", 2500]);
  expect(await codeOf(long)).toBe("ok");
  expect(reports).toContainEqual(expect.objectContaining({ lane: 0 }));
});

test("A14, R7: a busy loop that never polls is ended by its turn's time limit", async () => {
  const service = await openHost({ interruptGraceMs: GRACE_MS });
  const id = await deferred(service);
  const turn = service.startTurn(id, { prompt: script(["spinBlind", 120_000]), timeoutMs: 50 });
  expect(await kindOf(settled(turn))).toBe("lane_lost");
});

test("A14: a busy loop that ends within the grace costs only its own turn", async () => {
  const service = await openHost({ interruptGraceMs: 3000 });
  const [id, neighbour] = [await deferred(service), await deferred(service)];
  const { turn } = await running(service, id, ["spinBlind", 200]);
  await service.interrupt(id);
  expect(await kindOf(turn)).toBe("cancelled");
  expect(await codeOf(service.startTurn(neighbour, { prompt: "x" }))).toBe("ok");
  expect(service.inspect().lanesLost).toBe(0);
});

test("R6: cancelAfterBoundary is cooperative, fenced to its turn, and never an interrupt", async () => {
  const service = await openHost({ interruptGraceMs: GRACE_MS });
  const id = await deferred(service);
  expect(await codeOf(service.cancelAfterBoundary(id))).toBe("SESSION_NOT_RUNNING");
  expect(await codeOf(service.cancelAfterBoundary("no-such"))).toBe("SESSION_NOT_FOUND");
  const turn = service.startTurn(id, { prompt: script(["untilBoundary"]) });
  await service.cancelAfterBoundary(id);
  expect((await settled(turn)).text).toBe("boundary, interrupted: false");
  // An agent that takes no notice runs to its end, far beyond the grace.
  const deaf = service.startTurn(id, { prompt: script(["sleep", GRACE_MS * 4]) });
  await service.cancelAfterBoundary(id);
  expect((await settled(deaf)).text).toBe("done");
  // It does not leak into the next turn.
  const next = service.startTurn(id, { prompt: script(["untilBoundary"]) });
  expect(await Promise.race([next.then(() => "ended"), sleep(100).then(() => "still runs")])).toBe("still runs");
  await service.cancelAfterBoundary(id);
  await settled(next);
});
