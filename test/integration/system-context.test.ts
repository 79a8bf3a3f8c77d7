/** System context: staged for exactly the next model call, or written in for good. */
import { describe, expect, test } from "vitest";

import { RECORDING, codeOf, deferred, errorOf, gate, hosts, script, settled, sharedHost } from "../helpers/hosts.ts";

const block = (text: string, source?: string): string =>
  `[Runtime System Context]\n${source === undefined ? "" : `source: ${source}\n`}\n${text}`;
const SEPARATOR = "\n\n---\n\n";

describe("with a plain agent", () => {
  const host = sharedHost();
  const prompts = async (id: string, calls = 1): Promise<string[]> =>
    JSON.parse(
      (await host().startTurn(id, { prompt: script(...Array.from({ length: calls }, () => ["takeSystemPrompt"] as const)) })).text,
    ) as string[];

  test("A28: staged, duplicate, conflict, invalid", async () => {
    const service = host();
    const id = await deferred(service);
    const append = (text: string, idempotencyKey?: string, source?: string) =>
      service.appendSystemContext(id, { text, ...(idempotencyKey && { idempotencyKey }), ...(source && { source }) });
    expect(await append("  one  ", "k1", "mail")).toEqual({ status: "staged" });
    expect(await append("one", "k1", "mail")).toEqual({ status: "duplicate" });
    expect(await append("two")).toEqual({ status: "staged" });
    expect(await append("two")).toEqual({ status: "staged" });
    for (const conflict of [append("other", "k1", "mail"), append("one", "k1", "chat"), append("one", "k1")]) {
      expect(await errorOf(conflict)).toMatchObject({
        code: "SESSION_SYSTEM_CONTEXT_CONFLICT",
        sessionId: id,
        details: { key: "k1" },
        message: expect.stringContaining("k1"),
      });
    }
    for (const empty of ["", "  \n "])
      expect(await errorOf(append(empty))).toMatchObject({ code: "INVALID_PARAMS", details: { field: "request.text" } });
    expect((await service.systemContextState(id))?.pending.map(({ text }) => text)).toEqual(["one", "two", "two"]);
    expect(await codeOf(service.appendSystemContext("no-such", { text: "x" }))).toBe("SESSION_NOT_FOUND");
  });

  test("A28: a key is a duplicate also after its text was applied", async () => {
    const id = await deferred(host());
    await host().appendSystemContext(id, { text: "one", idempotencyKey: "k" });
    await prompts(id);
    expect(await host().appendSystemContext(id, { text: "one", idempotencyKey: "k" })).toEqual({ status: "duplicate" });
    expect(await codeOf(host().appendSystemContext(id, { text: "two", idempotencyKey: "k" }))).toBe("SESSION_SYSTEM_CONTEXT_CONFLICT");
    expect((await prompts(id))[0]).toBe("");
  });

  test("A29: staged text is in exactly the next model call, and not in the transcript", async () => {
    const id = await deferred(host(), { systemPrompt: "be brief" });
    await host().appendSystemContext(id, { text: "first", source: "mail" });
    await host().appendSystemContext(id, { text: "second" });
    const expected = ["be brief", block("first", "mail"), block("second")].join(SEPARATOR);
    expect(await prompts(id, 3)).toEqual([expected, "be brief", "be brief"]);
    expect(await prompts(id)).toEqual(["be brief"]);
    const { messages } = await host().exportSession(id);
    expect(messages[0]).toEqual({ role: "system", content: "be brief" });
    expect(await host().systemContextState(id)).toEqual({ pending: [], seen: {} });
  });

  test("A29: without a system prompt the staged text is the prompt; a turn that makes no model call takes nothing", async () => {
    const id = await deferred(host());
    await host().appendSystemContext(id, { text: "alone" });
    await host().startTurn(id, { prompt: "no model call" });
    expect((await host().systemContextState(id))?.pending).toHaveLength(1);
    expect(await prompts(id)).toEqual([block("alone")]);
  });

  test("A30, R9: appending during a turn does not wait for it, and lands in its next call or the next turn", async () => {
    const service = host();
    const id = await deferred(service);
    const started = gate();
    let isOver = false;
    const turn = service.startTurn(id, {
      prompt: script(["takeSystemPrompt"], ["emit", 1], ["sleep", 80], ["takeSystemPrompt"]),
      onEvent: () => started.open(),
    });
    void turn.then(() => (isOver = true));
    await started.promise;
    expect(await service.appendSystemContext(id, { text: "meanwhile" })).toEqual({ status: "staged" });
    expect(isOver).toBe(false);
    expect(JSON.parse((await turn).text)).toEqual(["", block("meanwhile")]);
    const busy = service.startTurn(id, { prompt: script(["takeSystemPrompt"], ["sleep", 40]) });
    await new Promise((resolve) => setTimeout(resolve, 20));
    await service.appendSystemContext(id, { text: "later" });
    await busy;
    expect(await prompts(id)).toEqual([block("later")]);
  });

  test("A31: applied context is permanent, in the system message, and shows in the counts", async () => {
    const service = host();
    const id = await deferred(service);
    await service.applyRuntimeSystemContext(id, []);
    expect((await service.read(id)).state.messageCount).toBe(0);
    await service.applyRuntimeSystemContext(id, [{ text: "one", source: "ops" }, { text: "two" }]);
    const { state } = await service.read(id);
    expect(state.messageCount).toBe(1);
    expect((await service.list()).find(({ sessionId }) => sessionId === id)?.messageCount).toBe(1);
    await service.applyRuntimeSystemContext(id, [{ text: "three" }]);
    const content = [block("one", "ops"), block("two"), block("three")].join(SEPARATOR);
    expect((await service.exportSession(id)).messages).toEqual([{ role: "system", content }]);
    expect(await prompts(id, 2)).toEqual([content, content]);
    expect(await codeOf(service.applyRuntimeSystemContext("no-such", [{ text: "x" }]))).toBe("SESSION_NOT_FOUND");
  });

  test("A31: context applied during a turn waits for it, and a failed turn does not take it back", async () => {
    const service = host();
    const { sessionId: id } = await service.createSession({ prompt: "one", systemPrompt: "base" });
    const failing = service.startTurn(id, { prompt: script(["sleep", 30], ["fail", "x"]) });
    const applied = service.applyRuntimeSystemContext(id, [{ text: "kept" }]);
    expect(await codeOf(failing)).toBe("AGENT_ERROR");
    await settled(applied);
    const second = service.startTurn(id, { prompt: script(["sleep", 60_000]) });
    await service.interrupt(id);
    expect(await codeOf(second)).toBe("AGENT_ERROR");
    expect((await service.exportSession(id)).messages[0]).toEqual({ role: "system", content: `base${SEPARATOR}${block("kept")}` });
    expect((await service.read(id)).state.messageCount).toBe(3);
  });

  test("A32: the host's view of the state follows what the agent takes", async () => {
    const service = host();
    const id = await deferred(service);
    expect(await service.systemContextState(id)).toEqual({ pending: [], seen: {} });
    const before = Date.now();
    await service.appendSystemContext(id, { text: "one", source: "mail", idempotencyKey: "k" });
    const staged = await service.systemContextState(id);
    expect(staged).toEqual({
      pending: [{ text: "one", source: "mail", idempotencyKey: "k", acceptedAt: expect.any(Number) }],
      seen: { k: { text: "one", source: "mail", state: "pending" } },
    });
    expect(staged?.pending[0]?.acceptedAt).toBeGreaterThanOrEqual(before);
    await prompts(id);
    expect(await service.systemContextState(id)).toEqual({ pending: [], seen: { k: { text: "one", source: "mail", state: "applied" } } });
    expect(await service.systemContextState("no-such")).toBeUndefined();
  });

  test("A28, R9: what one turn takes and what is appended meanwhile is neither lost nor given twice", async () => {
    const service = host();
    const id = await deferred(service);
    const taken: string[] = [];
    let appended = 0;
    for (let round = 0; round < 40; round++) {
      const turn = service.startTurn(id, { prompt: script(["takeSystemPrompt"], ["sleep", 1], ["takeSystemPrompt"]) });
      for (let i = 0; i < 3; i++) {
        await service.appendSystemContext(id, { text: `#${appended++}#` });
        if (i === 1) await new Promise(setImmediate);
      }
      for (const [text] of (await turn).text.matchAll(/#\d+#/g)) taken.push(text);
    }
    for (const prompt of await prompts(id)) for (const [text] of prompt.matchAll(/#\d+#/g)) taken.push(text);
    expect(taken).toEqual(Array.from({ length: appended }, (_, i) => `#${i}#`));
  });
});

describe("with an agent that records", () => {
  const openHost = hosts();

  test("A32: the state the agent shows is taken once, when it is built", async () => {
    const service = await openHost({ agent: RECORDING });
    const id = await deferred(service);
    await service.appendSystemContext(id, { text: "x" });
    await service.startTurn(id, { prompt: "x" });
    const log = JSON.parse((await service.startTurn(id, { prompt: "log" })).text) as string[];
    expect(log.filter((call) => call === "systemContextState")).toHaveLength(1);
  });

  test("A28: more pending context than a session may have is refused as overload", async () => {
    const service = await openHost();
    const id = await deferred(service);
    let code = "";
    for (let i = 0; i < 5000 && code === ""; i++)
      code = await codeOf(service.appendSystemContext(id, { text: `${i}` })).then((now) => (now === "ok" ? "" : now));
    expect(code).toBe("HOST_OVERLOADED");
    const held = (await service.systemContextState(id))?.pending.length ?? 0;
    expect(held).toBeGreaterThan(100);
    await service.startTurn(id, { prompt: script(["takeSystemPrompt"]) });
    expect(await codeOf(service.appendSystemContext(id, { text: "again" }))).toBe("ok");
  });
});
