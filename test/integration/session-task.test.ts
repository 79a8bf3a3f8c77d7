/** What the agent is told around each turn: skills, overlay, host mode, instructions; and what it may answer. */
import { describe, expect, test } from "vitest";

import { RECORDING, SCRIPTED, codeOf, deferred, errorOf, kindOf, script, settled, sharedHost } from "../helpers/hosts.ts";

const host = sharedHost({ agent: { scripted: SCRIPTED, recording: RECORDING } });
const recorded = (build = {}): Promise<string> => deferred(host(), { agent: "recording", build });
const logOf = async (id: string): Promise<string[]> => JSON.parse((await host().startTurn(id, { prompt: "log" })).text) as string[];
const SKILLS = [{ sourceUuid: "s-1", skillName: "pdf-forms" }];

describe("what the agent is told", () => {
  test("B7: skills are set before every turn, with none to clear", async () => {
    const id = await recorded();
    await host().startTurn(id, { prompt: "x", skillReferences: SKILLS });
    await host().startTurn(id, { prompt: "x" });
    await codeOf(host().startTurn(id, { prompt: script(["fail", "x"]), skillReferences: SKILLS }));
    const skills = (await logOf(id)).filter((call) => call.startsWith("skills:"));
    const set = `skills:${JSON.stringify(SKILLS)}`;
    expect(skills).toEqual([set, "skills:null", set, "skills:null"]);
  });

  test("B7: a create's skills reach its first turn, and no other", async () => {
    const { sessionId } = await host().createSession({
      agent: "scripted",
      prompt: script(["see", "skillReferences"]),
      skillReferences: SKILLS,
    });
    const messages = (await host().exportSession(sessionId)).messages;
    expect(JSON.parse((messages[1] as { content: string }).content)).toEqual({ skillReferences: SKILLS });
    expect(JSON.parse((await host().startTurn(sessionId, { prompt: script(["see", "skillReferences"]) })).text)).toEqual({
      skillReferences: [],
    });
  });

  test("B8: the overlay is set before and cleared after every turn, however it ends", async () => {
    const id = await recorded();
    const overlay = { blockedTools: ["x"] };
    await host().startTurn(id, { prompt: "x", flowToolOverlay: overlay });
    await codeOf(host().startTurn(id, { prompt: script(["fail", "x"]), flowToolOverlay: overlay }));
    const cut = host().startTurn(id, { prompt: script(["sleep", 60_000]), flowToolOverlay: overlay, timeoutMs: 30 });
    expect(await kindOf(cut)).toBe("cancelled");
    await host().startTurn(id, { prompt: "x" });
    const calls = (await logOf(id)).filter((call) => /^(overlay|run:|runEnded)/.test(call)).map((call) => call.slice(0, 24));
    const turn = (set: string): string[] => [`overlay:${set}`.slice(0, 24), "run", "runEnded", "overlay:null"];
    const seen = calls.map((call) => (call.startsWith("run:") ? "run" : call));
    expect(seen.slice(0, 16)).toEqual([...Array.from({ length: 3 }, () => turn(JSON.stringify(overlay))), turn("null")].flat());
  });

  test("B9: a refused overlay means that the turn does not run; the lock is free, the counts are as they were", async () => {
    const id = await recorded({ overlayRefused: true });
    const error = await errorOf(host().startTurn(id, { prompt: "never", flowToolOverlay: { allowedTools: [] } }));
    expect(error).toMatchObject({ code: "AGENT_ERROR", agentError: { kind: "tool_overlay", message: "the overlay is refused" } });
    expect((await host().read(id)).state).toMatchObject({ isActive: false, messageCount: 0 });
    const log = await logOf(id);
    expect(log.filter((call) => call.startsWith("run:"))).toEqual(["run:log"]);
  });

  test("B9: a simple agent refuses an overlay that names a tool it does not have", async () => {
    const id = await deferred(host(), { agent: "scripted" });
    for (const flowToolOverlay of [{ allowedTools: ["read", "fly"] }, { blockedTools: ["fly"] }]) {
      expect(await errorOf(host().startTurn(id, { prompt: "x", flowToolOverlay }))).toMatchObject({
        agentError: { kind: "tool_overlay", message: expect.stringContaining("fly") },
      });
    }
    const visible = async (flowToolOverlay?: object) =>
      (
        JSON.parse(
          (await host().startTurn(id, { prompt: script(["see", "visibleTools"]), ...(flowToolOverlay && { flowToolOverlay }) })).text,
        ) as { visibleTools: string[] }
      ).visibleTools;
    expect(await visible({ allowedTools: ["search", "read"], blockedTools: ["read"] })).toEqual(["search"]);
    expect(await visible({ allowedTools: [] })).toEqual([]);
    expect(await visible({ blockedTools: ["write"] })).toEqual(["read", "search"]);
    expect(await visible()).toEqual(["read", "write", "search"]);
  });

  test("B10: an overlay that cannot be cleared fails a turn that ran well", async () => {
    const id = await recorded({ overlayClearFails: true });
    expect(await errorOf(host().startTurn(id, { prompt: "fine" }))).toMatchObject({
      code: "AGENT_ERROR",
      agentError: { kind: "tool_overlay" },
    });
    expect((await host().read(id)).state.isActive).toBe(false);
    // An error of the run is not hidden by it.
    expect((await errorOf(host().startTurn(id, { prompt: script(["fail", "my own"]) }))).agentError?.message).toBe("my own");
  });

  test("B7: skills that are refused refuse the turn", async () => {
    const id = await recorded({ skillsFail: true });
    expect(await codeOf(host().startTurn(id, { prompt: "never" }))).toBe("AGENT_ERROR");
    expect((await host().read(id)).state).toMatchObject({ isActive: false, messageCount: 0 });
  });

  test("B12: hostMode chooses runHostMode, for a create's first turn too", async () => {
    const { sessionId } = await host().createSession({ agent: "recording", prompt: "first", hostMode: true });
    await host().startTurn(sessionId, { prompt: "second" });
    await host().startTurn(sessionId, { prompt: "third", hostMode: true });
    expect((await logOf(sessionId)).filter((call) => /^(run|host):/.test(call))).toEqual([
      "host:first",
      "run:second",
      "host:third",
      "run:log",
    ]);
  });

  test("A41: additional instructions stand ahead of the prompt, in order, and are stored with it", async () => {
    const id = await deferred(host(), { agent: "scripted" });
    const { text } = await host().startTurn(id, { prompt: "the prompt", additionalInstructions: ["one", "two"] });
    expect(text).toBe("[SYSTEM NOTICE: one]\n\n[SYSTEM NOTICE: two]\n\nthe prompt");
    expect((await host().exportSession(id)).messages[0]).toEqual({ role: "user", content: text });
    for (const additionalInstructions of [[], undefined]) {
      expect((await host().startTurn(id, { prompt: "bare", additionalInstructions })).text).toBe("bare");
    }
  });
});

describe("what the agent may answer", () => {
  const KINDS: [string, Parameters<typeof script>[0], object][] = [
    ["throws an error", ["fail", "no luck"], { kind: "internal_error", message: "no luck" }],
    ["throws an error of a kind", ["failKind", "budget", "spent", { used: 3 }], { kind: "budget", message: "spent", details: { used: 3 } }],
    ["throws null", ["throwValue", null], { kind: "internal_error" }],
    ["throws undefined", ["throwOdd", "undefined"], { kind: "internal_error" }],
    ["throws a string", ["throwValue", "just text"], { kind: "internal_error", message: "just text" }],
    ["throws an object", ["throwValue", { message: "like one" }], { kind: "internal_error", message: "like one" }],
    ["throws a symbol", ["throwOdd", "symbol"], { kind: "internal_error" }],
    ["throws what cannot be read", ["throwHostile"], { kind: "internal_error" }],
    ["answers undefined", ["returnOdd", "undefined"], { kind: "invalid_result" }],
    ["answers a number", ["return", 42], { kind: "invalid_result" }],
    ["answers null", ["return", null], { kind: "invalid_result" }],
    ["answers a function", ["returnOdd", "function"], { kind: "invalid_result" }],
    ["answers an object without text", ["return", { message: "x" }], { kind: "invalid_result" }],
    ["answers with bad tool calls", ["return", { text: "x", toolCalls: -1 }], { kind: "invalid_result" }],
    ["emits null", ["emitValue", null], { kind: "invalid_event" }],
    ["emits an event without type", ["emitValue", { delta: "x" }], { kind: "invalid_event" }],
    ["emits a known event without its fields", ["emitValue", { type: "text_delta" }], { kind: "invalid_event" }],
    ["emits what is not JSON", ["emitOdd", "function"], { kind: "invalid_event" }],
    ["emits a cycle", ["emitOdd", "cyclic"], { kind: "invalid_event" }],
    ["emits a date", ["emitOdd", "date"], { kind: "invalid_event" }],
    ["emits a non-event and swallows the exception", ["emitSwallowed", 42], { kind: "invalid_event" }],
    ["appends what is no message", ["append", { role: "nobody" }], { kind: "internal_error" }],
    ["adds negative usage", ["addUsage", { inputTokens: -1 }], { kind: "internal_error" }],
  ];

  test.each(KINDS)("C5, A11: an agent that %s fails its turn, typed, is taken back, and stays usable", async (_, step, expected) => {
    const { sessionId: id } = await host().createSession({ agent: "scripted", prompt: "before" });
    const error = await errorOf(settled(host().startTurn(id, { prompt: script(["addUsage", { inputTokens: 7 }], step) })));
    expect(error).toMatchObject({ code: "AGENT_ERROR", sessionId: id, agentError: expected });
    const { state, billing } = await host().read(id);
    expect({ ...state, ...billing }).toMatchObject({ isActive: false, messageCount: 2, totalTokens: 5, lastAssistantText: "before" });
    expect((await host().startTurn(id, { prompt: "after" })).text).toBe("after");
    expect((await host().exportSession(id)).messages.map((message) => "content" in message && message.content)).toEqual([
      "before",
      "before",
      "after",
      "after",
    ]);
  });

  test.each([
    ["usage that is no number", { text: "x", usage: { inputTokens: "many" } }],
    ["a negative usage", { text: "x", usage: { outputTokens: -5 } }],
    ["structured output that is not JSON", "bigint"],
  ] as [string, unknown][])("C5: an answer with %s fails the turn", async (_, value) => {
    const id = await deferred(host(), { agent: "scripted" });
    const prompt = value === "bigint" ? script(["returnOdd", "bigint"]) : script(["return", value]);
    expect(await codeOf(settled(host().startTurn(id, { prompt })))).toBe("AGENT_ERROR");
    expect((await host().read(id)).state.messageCount).toBe(0);
  });

  test("C5: a full agent whose result is none fails its turn only", async () => {
    const id = await recorded();
    for (const value of [null, 42, { text: 1 }, { text: "x", turns: 1, toolCalls: 0, usage: {} }]) {
      expect(await kindOf(settled(host().startTurn(id, { prompt: script(["return", value]) })))).toBe("invalid_result");
    }
    expect(await codeOf(host().startTurn(id, { prompt: "x" }))).toBe("ok");
  });

  test("C5: an agent that loses its snapshot fails its turns, and its session can be archived", async () => {
    const id = await recorded({ snapshotThrows: "after_turn" });
    expect(await kindOf(settled(host().startTurn(id, { prompt: "x" })))).toBe("internal_error");
    expect((await host().read(id)).state).toMatchObject({ isActive: false, messageCount: 0 });
    expect(await codeOf(host().archive(id))).toBe("ok");
  });

  test("C5: an agent whose export fails says so to whoever asks, and to nobody else", async () => {
    const id = await recorded({ cloneThrows: true });
    expect(await kindOf(settled(host().exportSession(id)))).toBe("internal_error");
    expect(await kindOf(settled(host().readHistory(id)))).toBe("internal_error");
    expect(await codeOf(host().startTurn(id, { prompt: "x" }))).toBe("ok");
  });

  test("C5: a prompt and a result of megabytes cross whole", async () => {
    const id = await deferred(host(), { agent: "scripted" });
    const prompt = "ö".repeat(2_000_000);
    expect((await settled(host().startTurn(id, { prompt }))).text === prompt).toBe(true);
    expect((await settled(host().startTurn(id, { prompt: script(["sayMuch", 10_000_000]) }))).text === "ä".repeat(10_000_000)).toBe(true);
    expect((await host().read(id)).state.lastAssistantText?.length).toBe(10_000_000);
  });

  test("C5: events of types of one's own pass, with any JSON", async () => {
    const id = await deferred(host(), { agent: "scripted" });
    const event = { type: "my_event", nested: { list: [1, null, "x", true] } };
    const seen: unknown[] = [];
    await host().startTurn(id, { prompt: script(["emitValue", event]), onEvent: ({ payload }) => void seen.push(payload) });
    expect(seen).toEqual([event]);
  });
});
