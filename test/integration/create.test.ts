/** Creating sessions: first turn, deferred, build failures, what the builder gets, who is told. */
import { describe, expect, test } from "vitest";

import {
  RECORDING,
  SCRIPTED,
  codeOf,
  deferred,
  errorOf,
  hosts,
  kindOf,
  script,
  settled,
  sharedHost,
  sleep,
  until,
} from "../helpers/hosts.ts";

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describe("on a host of its own", () => {
  const openHost = hosts();

  test("A1: a create runs its first turn and gives its result", async () => {
    const service = await openHost();
    const steps = script(
      ["addUsage", { inputTokens: 10, outputTokens: 5, cacheReadTokens: 4 }],
      ["return", { text: "hello", toolCalls: 2, structuredOutput: { a: [1] } }],
    );
    const result = await service.createSession({ prompt: steps });
    expect(result).toEqual({
      text: "hello",
      sessionId: expect.stringMatching(UUID_V7),
      turns: 1,
      toolCalls: 2,
      usage: { inputTokens: 13, outputTokens: 7, cacheReadTokens: 4 },
      structuredOutput: { a: [1] },
    });
    const time = expect.any(Number);
    expect(await service.list()).toEqual([
      { sessionId: result.sessionId, createdAt: time, updatedAt: time, messageCount: 2, totalTokens: 20, isActive: false, labels: {} },
    ]);
  });

  test("A5: a build error passes through unchanged, and nothing is left of the session", async () => {
    const service = await openHost({ agent: RECORDING });
    const registered: string[] = [];
    void service.waitSessionRegistered().then(
      (id) => registered.push(id),
      () => registered.push("closed"),
    );
    const before = service.inspect();

    const store = await errorOf(
      service.createSession({
        prompt: "x",
        build: { buildFails: { code: "SESSION_STORE_ERROR", message: "store error: disk", details: { disk: 3 } } },
      }),
    );
    expect(store).toMatchObject({ code: "SESSION_STORE_ERROR", message: "store error: disk", details: { disk: 3 }, disposition: "retry" });
    const agent = await errorOf(
      service.createSession({
        prompt: "x",
        build: {
          buildFails: { code: "AGENT_ERROR", message: "agent error: no budget", agentError: { kind: "budget", message: "no budget" } },
        },
      }),
    );
    expect(agent).toMatchObject({ code: "AGENT_ERROR", agentError: { kind: "budget", message: "no budget" } });
    expect(await kindOf(service.createSession({ prompt: "x", build: { buildThrows: "plain" } }))).toBe("internal_error");

    const { sessions, slots, turns } = service.inspect();
    expect({ sessions, turns, allocated: slots.allocated }).toEqual({ sessions: before.sessions, turns: before.turns, allocated: 0 });
    expect(await service.list()).toEqual([]);
    expect(registered).toEqual([]);
  });

  test.each([
    ["gives nothing", { buildGives: "nothing" }],
    ["gives half an agent", { buildGives: "half" }],
    ["has an agent without snapshot", { snapshotThrows: "always" }],
    ["has an agent whose snapshot is none", { snapshotGives: { messageCount: -1 } }],
    ["has an agent without an id", { ownId: "" }],
  ])("A5: a builder that %s fails the create, typed", async (_, build) => {
    const service = await openHost({ agent: RECORDING, maxSessions: 1 });
    expect(await kindOf(service.createSession({ prompt: "x", build }))).toBe("internal_error");
    expect(service.inspect().sessions).toMatchObject({ live: 0, building: 0 });
    // Capacity is back.
    expect(await codeOf(service.createSession({ prompt: "x" }))).toBe("ok");
  });

  test("A5: an agent that was built and then refused is disposed", async () => {
    const service = await openHost({ agent: RECORDING });
    await errorOf(service.createSession({ prompt: "x", build: { ownId: "bad-snapshot", snapshotThrows: "always" } }));
    const { text } = await service.createSession({ prompt: "lane" });
    expect(JSON.parse(text)).toContain("dispose:bad-snapshot");
  });

  test("A34: a waiter hears of the next registration only", async () => {
    const service = await openHost();
    const first = service.waitSessionRegistered();
    const made = await deferred(service);
    expect(await first).toBe(made);

    let heard: string | undefined;
    const second = service.waitSessionRegistered().then((id) => (heard = id));
    await errorOf(service.createSession({ prompt: "x", build: { failSetup: "no" } }));
    await sleep(50);
    expect(heard).toBeUndefined();
    const next = await deferred(service);
    expect(await settled(second)).toBe(next);

    const all = [service.waitSessionRegistered(), service.waitSessionRegistered()];
    const { sessionId } = await service.createSession({ prompt: "x" });
    expect(await Promise.all(all)).toEqual([sessionId, sessionId]);
  });

  test("A34: a waiter is told that the host closes", async () => {
    const service = await openHost();
    const waiting = codeOf(service.waitSessionRegistered());
    await service.shutdown();
    expect(await settled(waiting)).toBe("HOST_CLOSED");
    expect(await codeOf(service.waitSessionRegistered())).toBe("HOST_CLOSED");
  });

  test("A35: who waited for the registration can subscribe ahead of the first turn's first event", async () => {
    const service = await openHost();
    const watching = service.waitSessionRegistered().then((id) => service.subscribeSessionEvents(id));
    await service.createSession({ prompt: script(["emit", 3]) });
    const stream = await watching;
    expect([stream.tryNext()?.seq, stream.tryNext()?.seq, stream.tryNext()?.seq, stream.tryNext()]).toEqual([1, 2, 3, undefined]);
  });

  test.each([
    ["archived", "archive" as const],
    ["discarded", "discardLiveSession" as const],
  ])("R3: a session %s by who waited for its registration settles its create", async (_, end) => {
    const service = await openHost();
    const ended = service.waitSessionRegistered().then((id) => service[end](id));
    const create = codeOf(service.createSession({ prompt: "first" }));
    await ended;
    // The turn was admitted first, so it completes; a typed refusal would do as well. What it must not do is hang.
    expect(["ok", "SESSION_NOT_FOUND", "AGENT_ERROR"]).toContain(await settled(create, "the create"));
    await until("nothing is left", () => service.inspect().slots.allocated === 0);
    expect(service.inspect()).toMatchObject({ sessions: { live: 0 }, turns: { running: 0 } });
  });

  test("R6: an interrupt by who waited for the registration cancels the first turn before its agent runs", async () => {
    const service = await openHost({ agent: RECORDING });
    const interrupted = service.waitSessionRegistered().then(async (id) => {
      await service.interrupt(id);
      return id;
    });
    expect(await kindOf(service.createSession({ prompt: "never seen" }))).toBe("cancelled");
    const id = await interrupted;
    const { text } = await service.startTurn(id, { prompt: "log" });
    expect(JSON.parse(text).filter((call: string) => /^(run|cancel)/.test(call))).toEqual(["cancel", "run:log"]);
  });
});

describe("beside others", () => {
  const host = sharedHost({ agent: { scripted: SCRIPTED, recording: RECORDING } });

  test("A2: a deferred create runs nothing and discards its prompt", async () => {
    const service = host();
    let tickets = 0;
    const onAdmitted = (): void => void tickets++;
    const result = await service.createSession({ agent: "recording", prompt: "lost", initialTurn: "defer" }, { onAdmitted });
    expect(tickets).toBe(0);
    const { sessionId } = result;
    expect(result).toEqual({ text: "", sessionId, turns: 0, toolCalls: 0, usage: { inputTokens: 0, outputTokens: 0 } });
    const { state, billing } = await service.read(sessionId);
    expect({ ...state, ...billing }).toMatchObject({ messageCount: 0, isActive: false, totalTokens: 0 });
    const { text } = await service.startTurn(sessionId, { prompt: "log" });
    expect(JSON.parse(text).filter((call: string) => call.startsWith("run"))).toEqual(["run:log"]);
  });

  test("A7: a first turn that fails leaves a usable session and says which", async () => {
    const service = host();
    const error = await errorOf(service.createSession({ agent: "scripted", prompt: script(["fail", "no luck"]) }));
    expect(error).toMatchObject({ code: "AGENT_ERROR", agentError: { kind: "internal_error", message: "no luck" } });
    const id = error.sessionId as string;
    expect((await service.list()).map(({ sessionId }) => sessionId)).toContain(id);
    expect(await service.startTurn(id, { prompt: "again" })).toMatchObject({ text: "again", sessionId: id });
  });

  test("A42: labels are empty by default, and a copy", async () => {
    const service = host();
    const labels = { team: "blue" };
    const bare = await deferred(service, { agent: "scripted" });
    const labelled = await deferred(service, { agent: "scripted", labels });
    labels.team = "changed";
    (await service.read(labelled)).state.labels["team"] = "changed too";
    expect((await service.read(bare)).state.labels).toEqual({});
    expect((await service.read(labelled)).state.labels).toEqual({ team: "blue" });
    const shown = (await service.list()).filter(({ sessionId }) => sessionId === bare);
    expect(shown.map((summary) => summary.labels)).toEqual([{}]);
  });

  test("C1: the builder gets the whole request, and an event sink", async () => {
    const service = host();
    const request = {
      agent: "recording",
      prompt: "request",
      model: "m-1",
      systemPrompt: "be brief",
      maxTokens: 100,
      hostMode: false,
      labels: { a: "1" },
      skillReferences: [{ sourceUuid: "s-1", skillName: "pdf-forms" }],
      isolation: "shared" as const,
      build: { appContext: { deep: [1, null, "x"] }, provider: "other", emitAtBuild: 2 },
    };
    const seen: unknown[] = [];
    const { text, sessionId } = await service.createSession({ ...request, onEvent: ({ payload }) => void seen.push(payload) });
    expect(seen).toEqual([0, 1].map((i) => ({ type: "text_delta", delta: `build ${i}` })));
    // The prompt of a create is not kept beyond its first turn.
    const { prompt: _, ...kept } = request;
    expect(JSON.parse(text)).toMatchObject({ ...kept, agentName: "recording", sessionId });
  });

  test("C1: a session to resume reaches the builder, and keeps its id", async () => {
    const service = host();
    const { sessionId } = await service.createSession({ agent: "scripted", prompt: "one", labels: { a: "1" } });
    const exported = await service.exportSession(sessionId);
    await service.discardLiveSession(sessionId);
    await until("it has left", async () => (await codeOf(service.read(sessionId))) === "SESSION_NOT_FOUND");
    const resumed = await service.createSession({
      agent: "scripted",
      prompt: script(["see", "state"]),
      build: { resumeSession: { ...exported } as never },
    });
    expect(resumed.sessionId).toBe(sessionId);
    expect(JSON.parse(resumed.text).state).toMatchObject({ resumed: 2 });
    expect((await service.read(sessionId)).state).toMatchObject({ messageCount: 4, createdAt: exported.createdAt });
  });
});
