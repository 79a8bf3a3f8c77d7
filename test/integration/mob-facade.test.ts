/** The facade of a multi-agent runtime, on both services: F1, F4–F7, F9, F12, F13, F16–F18, and the races around a runtime turn. */
import { createHash } from "node:crypto";

import { describe, expect, test } from "vitest";

import type { CoreApplyOutput, EphemeralSessionService, PersistentSessionService, Session } from "../../dist/src/index.js";
import { RECORDING, SCRIPTED, codeOf, deferred, errorOf, hosts, kindOf, script, settled, sleep, until } from "../helpers/hosts.ts";
import { persistentHosts } from "../helpers/persistent-hosts.ts";

type Service = EphemeralSessionService | PersistentSessionService;

const openHost = hosts();
const { open: openKept, counting } = persistentHosts();
const agents = { agent: { scripted: SCRIPTED, recording: RECORDING } };
const services: [name: string, open: () => Promise<Service>][] = [
  ["ephemeral", () => openHost(agents)],
  ["persistent", () => openKept(agents)],
];

const sessionOf = ({ sessionSnapshot }: CoreApplyOutput): Session => JSON.parse(new TextDecoder().decode(sessionSnapshot)) as Session;
const digestOf = (messages: unknown): string => createHash("sha256").update(JSON.stringify(messages)).digest("hex");
const content = { executionKind: "content_turn" } as const;
const apply = (service: Service, id: string, prompt: string): Promise<CoreApplyOutput> =>
  settled(service.applyRuntimeTurn(id, "run-1", { ...content, prompt }, "run_start", ["input-2", "input-1"]));

describe.each(services)("%s", (name, open) => {
  test("F1, F6: it says whether sessions outlive the process, and that none is a mob's", async () => {
    const service = await open();
    const id = await deferred(service, { agent: "scripted" });
    expect(service.supportsPersistentSessions()).toBe(name === "persistent");
    expect(await service.sessionBelongsToMob(id, "mob")).toBe(false);
  });

  test("F4, F5: what the agent tells passes through unchanged, also while a turn runs; what it does not tell is undefined", async () => {
    const service = await open();
    const snapshots = {
      executionSnapshot: { loopState: "running", boundaryCount: 3, terminalCauseKind: null, more: [{ deep: true }] },
      toolScopeSnapshot: { visibleNames: ["a"], activeTurnDeny: [] },
      externalToolSurfaceSnapshot: { phase: "operating", entries: [{ surfaceId: "s", baseState: "active" }] },
      peerIngressRuntimeSnapshot: { selfPeerId: "me", queue: { total: 0 } },
    };
    const telling = await deferred(service, { agent: "recording", build: { snapshots, handles: ["commsRuntime"] } });
    const silent = await deferred(service, { agent: "recording", build: { handles: ["commsRuntime"] } });
    const bare = await deferred(service, { agent: "scripted" });
    const look = (id: string): Promise<unknown[]> =>
      Promise.all([
        service.executionSnapshot(id),
        service.toolScopeSnapshot(id),
        service.externalToolSurfaceSnapshot(id),
        service.peerIngressRuntimeSnapshot(id),
      ]);
    expect(await look(telling)).toEqual(Object.values(snapshots));
    expect(await look(silent)).toEqual([undefined, undefined, undefined, undefined]);
    expect(await look(bare)).toEqual([undefined, undefined, undefined, undefined]);
    const turn = service.startTurn(telling, { prompt: script(["hang"]) });
    expect(await look(telling)).toEqual(Object.values(snapshots));
    await service.interrupt(telling);
    expect(await kindOf(settled(turn))).toBe("cancelled");
  });

  test("F4, F5: an agent that fails to tell says so; an unsupported inbox is none; an unknown session is an error for all but the inbox", async () => {
    const service = await open();
    const snapshots = { executionSnapshot: "lost_count", peerIngressRuntimeSnapshot: "SESSION_UNSUPPORTED" };
    const id = await deferred(service, { agent: "recording", build: { snapshots, handles: ["commsRuntime"] } });
    expect(await kindOf(service.executionSnapshot(id))).toBe("lost_count");
    expect(await service.peerIngressRuntimeSnapshot(id)).toBeUndefined();
    expect(await codeOf(service.executionSnapshot("nobody"))).toBe("SESSION_NOT_FOUND");
    expect(await codeOf(service.toolScopeSnapshot("nobody"))).toBe("SESSION_NOT_FOUND");
    expect(await service.peerIngressRuntimeSnapshot("nobody")).toBeUndefined();
  });

  test("F4: a lane that is blocked answers nobody, and whoever asks is not held up", async () => {
    const service = await open();
    const id = await deferred(service, { agent: "scripted" });
    const turn = service.startTurn(id, { prompt: script(["spin", 3000]) });
    expect(await errorOf(service.executionSnapshot(id))).toMatchObject({ code: "HOST_OVERLOADED", details: { reason: "answer" } });
    await service.interrupt(id);
    expect(await kindOf(settled(turn))).toBe("cancelled");
  });

  test("F9: a runtime turn gives result, receipt and snapshot of one moment", async () => {
    const service = await open();
    const id = await deferred(service, { agent: "scripted", labels: { team: "red" } });
    const output = await apply(service, id, "hello");
    const session = sessionOf(output);
    expect(output.receipt).toEqual({
      runId: "run-1",
      boundary: "run_start",
      contributingInputIds: ["input-2", "input-1"],
      conversationDigest: digestOf(session.messages),
      messageCount: 2,
      sequence: 0,
    });
    expect(output.receipt.conversationDigest).toMatch(/^[0-9a-f]{64}$/);
    expect(output.terminal).toMatchObject({ kind: "run_result", runResult: { text: "hello", sessionId: id, turns: 1 } });
    expect(session).toEqual(await service.exportSession(id));
    expect(session.id).toBe(id);
  });

  test("F9: equal messages have equal digests, whoever's they are; any other have another", async () => {
    const service = await open();
    const [a, b] = [await deferred(service, { agent: "recording" }), await deferred(service, { agent: "recording" })];
    const digest = async (id: string, prompt: string): Promise<string | undefined> =>
      (await apply(service, id, prompt)).receipt.conversationDigest;
    const first = await digest(a, "same");
    expect(await digest(b, "same")).toBe(first);
    expect(await digest(a, "x")).not.toBe(await digest(b, "y"));
  });

  test("F9: texts that UTF-8 does not have are told as they come back from a store", async () => {
    const service = await open();
    const id = await deferred(service, { agent: "scripted" });
    const output = await apply(service, id, script(["say", "half \ud800 and \\ud800"]));
    const { conversationDigest } = output.receipt;
    expect(conversationDigest).toBe(digestOf(sessionOf(output).messages));
    expect(sessionOf(output)).toEqual(await service.exportSession(id));
    if (name === "ephemeral") return;
    await (service as PersistentSessionService).hibernate(id);
    expect((await settled(service.applyRuntimeContextAppends(id, "r", [], []))).receipt.conversationDigest).toBe(conversationDigest);
  });

  test("F9: no other turn comes between a runtime turn and its receipt", async () => {
    const service = await open();
    const id = await deferred(service, { agent: "scripted" });
    for (let round = 1; round <= 10; round++) {
      const prompt = script(["sleep", 20], ["say", `r${round}`]);
      const applying = apply(service, id, prompt);
      await sleep(0); // it is sent
      // Tried without a pause, so that the lock is seen free before the answer can be: another turn is admitted right between the two.
      let isAdmitted = false;
      const onAdmitted = (): void => void (isAdmitted = true);
      let other: Promise<unknown> = Promise.resolve();
      while (!isAdmitted) {
        const attempt = service.startTurn(id, { prompt: "other" }, { onAdmitted });
        other = attempt.catch((error: unknown) => error);
        await Promise.resolve();
      }
      expect(sessionOf(await applying).messages.at(-1)).toMatchObject({ role: "assistant", content: `r${round}` });
      expect(await settled(other)).toMatchObject({ text: "other" });
    }
  });

  test("F9: a turn without execution kind is refused before anything runs", async () => {
    const service = await open();
    const id = await deferred(service, { agent: "scripted" });
    const error = await errorOf(service.applyRuntimeTurn(id, "run", { prompt: "x" }, "immediate", []));
    expect(error).toMatchObject({ code: "AGENT_ERROR", agentError: { kind: "internal_error" }, disposition: "bug" });
    expect(error.message).toContain("runtime_execution_kind not set");
    expect((await service.exportSession(id)).messages).toEqual([]);
  });

  test("F9: arguments that are none name their field", async () => {
    const service = await open();
    const id = await deferred(service, { agent: "scripted" });
    const turn = { ...content, prompt: "x" };
    const fieldOf = async (call: Promise<unknown>): Promise<unknown> => (await errorOf(call)).details?.["field"];
    expect(await fieldOf(service.applyRuntimeTurn(id, "", turn, "immediate", []))).toBe("runId");
    expect(await fieldOf(service.applyRuntimeTurn(id, "r", turn, "later" as "immediate", []))).toBe("boundary");
    expect(await fieldOf(service.applyRuntimeTurn(id, "r", turn, "immediate", [1 as never]))).toBe("contributingInputIds.0");
    expect(await fieldOf(service.applyRuntimeTurn(id, "r", { ...turn, executionKind: "x" as never }, "immediate", []))).toBe(
      "request.executionKind",
    );
    expect(
      await fieldOf(service.applyRuntimeTurn(id, "r", { ...turn, preTurnContextAppends: [{ text: 1 as never }] }, "immediate", [])),
    ).toBe("request.preTurnContextAppends.0.text");
    expect(await fieldOf(service.applyRuntimeContextAppends(id, "r", [{ text: 1 as never }], []))).toBe("appends.0.text");
    expect(await codeOf(service.applyRuntimeTurn("nobody", "r", turn, "immediate", []))).toBe("SESSION_NOT_FOUND");
    expect(await codeOf(service.applyRuntimeContextAppends("nobody", "r", [{ text: "x" }], []))).toBe("SESSION_NOT_FOUND");
  });

  test("F9: a turn that fails, or is interrupted, gives no receipt and leaves nothing", async () => {
    const service = await open();
    const id = await deferred(service, { agent: "scripted" });
    expect(await kindOf(apply(service, id, script(["failKind", "odd", "no"])))).toBe("odd");
    const hanging = apply(service, id, script(["hang"]));
    await until("it runs", async () => (await service.read(id)).state.isActive);
    await service.interrupt(id);
    expect(await kindOf(hanging)).toBe("cancelled");
    expect((await apply(service, id, "fine")).receipt.messageCount).toBe(2);
  });

  test("F9: nothing to resume, and a tool call to be answered, are terminals with a receipt, not errors", async () => {
    const service = await open();
    const id = await deferred(service, { agent: "scripted" });
    await settled(service.startTurn(id, { prompt: "one" }));
    const resumed = await settled(service.applyRuntimeTurn(id, "r", { prompt: "", executionKind: "resume_pending" }, "immediate", []));
    expect(resumed).toMatchObject({ terminal: { kind: "no_pending_boundary" }, receipt: { messageCount: 2 } });
    expect(sessionOf(resumed).messages).toHaveLength(2);
    // Whoever asks for no receipt gets the error.
    expect(await kindOf(service.startTurn(id, { prompt: "", executionKind: "resume_pending" }))).toBe("no_pending_boundary");
    const details = { toolName: "ask", args: { of: ["whom"] } };
    const waiting = await apply(service, id, script(["failKind", "callback_pending", "waits", details]));
    expect(waiting.terminal).toEqual({ kind: "callback_pending", ...details });
    expect(waiting.receipt.messageCount).toBe(3); // its prompt is to be answered yet
    expect(await kindOf(apply(service, id, script(["failKind", "callback_pending", "waits", { no: "tool" }])))).toBe("callback_pending");
    expect((await service.exportSession(id)).messages).toHaveLength(3);
  });

  test("F9: a run that waits for its caller is kept as it was left, and resumed; for a plain turn it is taken back", async () => {
    const service = await open();
    const id = await deferred(service, { agent: "scripted" });
    const call = { role: "assistant", content: "", toolCalls: [{ id: "c", name: "ask", args: {} }] };
    const prompt = script(["append", call], ["failKind", "callback_pending", "waits", { toolName: "ask", args: {} }]);
    expect(await kindOf(settled(service.startTurn(id, { prompt })))).toBe("callback_pending");
    expect((await service.exportSession(id)).messages).toEqual([]);
    const waiting = await apply(service, id, prompt);
    expect(sessionOf(waiting).messages).toMatchObject([{ role: "user" }, call]);
    expect(await service.exportSession(id)).toEqual(sessionOf(waiting));
    const resume = { executionKind: "resume_pending", prompt: "the answer" } as const;
    const resumed = await settled(service.applyRuntimeTurn(id, "r", resume, "immediate", []));
    expect(sessionOf(resumed).messages).toMatchObject([{ role: "user" }, call, { role: "assistant", content: "the answer" }]);
  });

  test("F9: a restriction that cannot be lifted fails the turn, however it ended", async () => {
    const service = await open();
    const id = await deferred(service, { agent: "recording", build: { overlayClearFails: true } });
    const prompt = script(["failKind", "callback_pending", "waits", { toolName: "ask", args: {} }]);
    expect(await kindOf(apply(service, id, prompt))).toBe("tool_overlay");
  });

  test("F9: a turn that is asked for again by its key: a result is given again with its receipt, a terminal is found out again", async () => {
    const service = await open();
    const id = await deferred(service, { agent: "scripted" });
    const details = { toolName: "ask", args: null };
    const keyed = async (idempotencyKey: string, prompt: string): Promise<CoreApplyOutput> =>
      settled(service.applyRuntimeTurn(id, "r", { ...content, prompt, idempotencyKey }, "run_start", []));
    const first = await keyed("a", "one");
    expect(await keyed("a", "one")).toEqual(first);
    expect(await codeOf(keyed("a", "two"))).toBe("IDEMPOTENCY_CONFLICT");
    for (let i = 0; i < 2; i++) {
      const waiting = await keyed("b", script(["failKind", "callback_pending", "waits", details]));
      expect(waiting.terminal).toEqual({ kind: "callback_pending", ...details });
    }
    expect((await keyed("b", "now")).receipt.messageCount).toBe(6);
  });

  test("F9: what is pending in a session is resumed, without a new prompt", async () => {
    const service = await open();
    const resumeSession: Session = {
      version: 1,
      id: "pending",
      messages: [{ role: "user", content: "asked before" }],
      createdAt: 1,
      updatedAt: 1,
      metadata: {},
      usage: { inputTokens: 0, outputTokens: 0 },
    };
    if (name === "persistent")
      await service.createSession({ prompt: "", initialTurn: "defer", agent: "scripted", build: { resumeSession } });
    const id =
      name === "persistent"
        ? "pending"
        : (await service.createSession({ prompt: "", initialTurn: "defer", agent: "scripted", build: { resumeSession } })).sessionId;
    const prompt = script(["see", "executionKind"]);
    const output = await settled(service.applyRuntimeTurn(id, "r", { prompt, executionKind: "resume_pending" }, "run_start", []));
    expect(sessionOf(output).messages).toMatchObject([
      { role: "user", content: "asked before" },
      { role: "assistant", content: '{"executionKind":"resume_pending"}' },
    ]);
  });

  test("context ahead of a turn is in the system message before it runs, once, whatever becomes of the turn", async () => {
    const service = await open();
    const id = await deferred(service, { agent: "scripted", systemPrompt: "Be kind." });
    const appends = [{ text: "The sky is blue.", source: "weather", idempotencyKey: "k" }, { text: "It rains." }];
    const turn = (prompt: string): Promise<CoreApplyOutput> =>
      settled(service.applyRuntimeTurn(id, "r", { ...content, prompt, preTurnContextAppends: appends }, "run_start", []));
    const system =
      "Be kind.\n\n---\n\n[Runtime System Context]\nsource: weather\n\nThe sky is blue.\n\n---\n\n[Runtime System Context]\n\nIt rains.";
    expect(await kindOf(turn(script(["fail", "no"])))).toBe("internal_error");
    expect((await service.exportSession(id)).messages).toEqual([{ role: "system", content: system }]);
    expect(sessionOf(await turn("again")).messages).toMatchObject([{ content: system }, { content: "again" }, { content: "again" }]);
    expect(
      await kindOf(service.startTurn(id, { prompt: "x", preTurnContextAppends: appends, flowToolOverlay: { allowedTools: ["?"] } })),
    ).toBe("tool_overlay");
    if (name === "ephemeral") return;
    await (service as PersistentSessionService).hibernate(id);
    expect((await service.exportSession(id)).messages[0]).toEqual({ role: "system", content: system });
  });

  test("F12: context appends change the canonical system message, with a real receipt and no terminal", async () => {
    const service = await open();
    const id = await deferred(service, { agent: "scripted" });
    await settled(service.startTurn(id, { prompt: "one" }));
    const output = await settled(service.applyRuntimeContextAppends(id, "r", [{ text: "note" }], ["i"]));
    const session = sessionOf(output);
    expect(session.messages[0]).toEqual({ role: "system", content: "[Runtime System Context]\n\nnote" });
    expect(output).toEqual({
      receipt: {
        runId: "r",
        boundary: "immediate",
        contributingInputIds: ["i"],
        conversationDigest: digestOf(session.messages),
        messageCount: 3,
        sequence: 0,
      },
      sessionSnapshot: output.sessionSnapshot,
    });
    const again = await settled(service.applyRuntimeContextAppendsWithBoundary(id, "r2", [{ text: "note" }], "run_checkpoint", []));
    expect(again.receipt).toMatchObject({ boundary: "run_checkpoint", conversationDigest: output.receipt.conversationDigest });
    expect((await settled(service.applyRuntimeContextAppends(id, "r3", [], []))).receipt.messageCount).toBe(3);
    expect(await service.exportSession(id)).toEqual(sessionOf(again));
  });

  test("F13: context for a turn is seen by the next run", async () => {
    const service = await open();
    const id = await deferred(service, { agent: "scripted" });
    await settled(service.applyRuntimeSystemContextForTurn(id, [{ text: "told" }]));
    const { text } = await settled(service.startTurn(id, { prompt: script(["see", "messages"]) }));
    expect(text).toContain("told");
  });

  test("F15: discarding drops the live session: gone without a store, with one back at its last boundary", async () => {
    const service = await open();
    const id = await deferred(service, { agent: "scripted" });
    await apply(service, id, "kept");
    await service.discardLiveSession(id);
    expect(service.inspect().sessions.live).toBe(0);
    const next = await apply(service, id, "next").catch((error: unknown) => error);
    if (name === "persistent") expect(next).toMatchObject({ receipt: { messageCount: 4 } });
    else expect(next).toMatchObject({ code: "SESSION_NOT_FOUND" });
  });

  test("F16: cancelling and rearming checkpointers is answered", async () => {
    const service = await open();
    await service.cancelAllCheckpointers();
    await service.rearmAllCheckpointers();
  });

  test("F17: a runtime turn's events reach subscribers and its own consumer, the same envelopes", async () => {
    const service = await open();
    const id = await deferred(service, { agent: "scripted" });
    const stream = service.subscribeSessionEvents(id);
    const own: unknown[] = [];
    const request = { ...content, prompt: script(["emit", 3]), onEvent: (envelope: unknown) => void own.push(envelope) };
    await settled(service.applyRuntimeTurn(id, "r", request, "immediate", []));
    const subscribed = [stream.tryNext(), stream.tryNext(), stream.tryNext()];
    expect(own).toHaveLength(3);
    expect(subscribed).toEqual(own);
  });
});

describe("a turn that cannot be committed", () => {
  test("F9: leaves the live session discarded and the stored one without it", async () => {
    const store = counting();
    const service = await openKept({ ...agents, store: store.store });
    const id = await deferred(service, { agent: "scripted" });
    await apply(service, id, "kept");
    store.order({ fail: ["append"] });
    expect(await codeOf(apply(service, id, "lost"))).toBe("SESSION_STORE_ERROR");
    store.order({});
    expect((await service.loadPersistedSession(id))?.messages).toHaveLength(2);
    const output = await apply(service, id, "next");
    expect(sessionOf(output).messages.map((message) => "content" in message && message.content)).toEqual(["kept", "kept", "next", "next"]);
  });
});

describe("snapshots that were committed elsewhere", () => {
  const encode = (session: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(session));

  test("F14: the stored session is what the snapshot says, and a live one begins again from there", async () => {
    const service = await openKept(agents);
    const id = await deferred(service, { agent: "scripted", labels: { a: "b" } });
    const one = sessionOf(await apply(service, id, "one"));
    const two = sessionOf(await apply(service, id, "two"));
    await settled(service.checkpointCommittedRuntimeSessionSnapshot(id, encode(two))); // it is there already
    expect(service.inspect().sessions.live).toBe(1);
    await settled(service.checkpointCommittedRuntimeSessionSnapshot(id, encode(one)));
    expect(await service.loadPersistedSession(id)).toEqual(one);
    expect(sessionOf(await apply(service, id, "three")).messages).toHaveLength(4);
    await service.hibernate(id);
    await settled(service.checkpointCommittedRuntimeSessionSnapshot(id, encode(two)));
    expect(await service.exportSession(id)).toEqual(two);
  });

  test("F14: another session's, or none, is refused and nothing changes", async () => {
    const service = await openKept(agents);
    const id = await deferred(service, { agent: "scripted" });
    const session = sessionOf(await apply(service, id, "one"));
    for (const snapshot of [encode({ ...session, id: "other" }), encode({ ...session, messages: [{ role: "?" }] }), Uint8Array.of(0xff)]) {
      expect(await errorOf(service.checkpointCommittedRuntimeSessionSnapshot(id, snapshot))).toMatchObject({
        code: "AGENT_ERROR",
        agentError: { kind: "internal_error" },
      });
    }
    expect((await errorOf(service.checkpointCommittedRuntimeSessionSnapshot(id, "x" as never))).details?.["field"]).toBe("snapshot");
    expect(await service.loadPersistedSession(id)).toEqual(session);
    expect(service.inspect().sessions.live).toBe(1);
    const unknown = encode({ ...session, id: "unknown" });
    expect(await codeOf(service.checkpointCommittedRuntimeSessionSnapshot("unknown", unknown))).toBe("SESSION_NOT_FOUND");
  });

  test("F14: not while a turn runs, nor while checkpoints are cancelled, which may be tried again", async () => {
    const service = await openKept(agents);
    const id = await deferred(service, { agent: "scripted" });
    const one = sessionOf(await apply(service, id, "one"));
    await apply(service, id, "two");
    const turn = service.startTurn(id, { prompt: script(["hang"]) });
    expect(await codeOf(service.checkpointCommittedRuntimeSessionSnapshot(id, encode(one)))).toBe("SESSION_BUSY");
    await service.interrupt(id);
    await settled(turn.catch(() => {}));
    await service.cancelAllCheckpointers();
    const error = await errorOf(service.checkpointCommittedRuntimeSessionSnapshot(id, encode(one)));
    expect(error).toMatchObject({ code: "SESSION_STORE_ERROR", disposition: "retry", details: { reason: "checkpoints_cancelled" } });
    expect((await service.loadPersistedSession(id))?.messages).toHaveLength(4);
    await service.rearmAllCheckpointers();
    await settled(service.checkpointCommittedRuntimeSessionSnapshot(id, encode(one)));
    expect((await service.loadPersistedSession(id))?.messages).toHaveLength(2);
  });

  test("F14: when it cannot be written the live session is discarded, and goes on from what is stored", async () => {
    const store = counting();
    const service = await openKept({ ...agents, store: store.store });
    const id = await deferred(service, { agent: "scripted" });
    const one = sessionOf(await apply(service, id, "one"));
    await apply(service, id, "two");
    store.order({ fail: ["rewrite"] });
    expect(await codeOf(settled(service.checkpointCommittedRuntimeSessionSnapshot(id, encode(one))))).toBe("SESSION_STORE_ERROR");
    store.order({});
    await until("it has left", () => service.inspect().sessions.live === 0);
    expect((await apply(service, id, "three")).receipt.messageCount).toBe(6);
  });

  test("F14: without a store it is Ok, and nothing happens", async () => {
    const service = await openHost(agents);
    const id = await deferred(service, { agent: "scripted" });
    await service.checkpointCommittedRuntimeSessionSnapshot(id, encode({}));
    expect((await service.exportSession(id)).messages).toEqual([]);
  });

  test("F7: the persisted session of an archived one is hidden", async () => {
    const service = await openKept(agents);
    const id = await deferred(service, { agent: "scripted" });
    await apply(service, id, "one");
    expect((await service.loadPersistedSession(id))?.messages).toHaveLength(2);
    expect(await service.loadPersistedSession("nobody")).toBeUndefined();
    await service.archive(id);
    expect(await service.loadPersistedSession(id)).toBeUndefined();
    expect((await service.loadPersisted(id))?.id).toBe(id);
    const ephemeral = await openHost(agents);
    expect(await ephemeral.loadPersistedSession(await deferred(ephemeral, { agent: "scripted" }))).toBeUndefined();
  });
});
