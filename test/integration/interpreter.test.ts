/** The agents that ship, in real lanes: echo, and the interpreter with its sandboxes. */
import { describe, expect, test } from "vitest";

import type { EventEnvelope } from "../../dist/src/index.js";
import { builtinAgents } from "../../dist/src/index.js";
import { deferred, errorOf, settled, sharedHost, sleep, until } from "../helpers/hosts.ts";

const host = sharedHost({ agent: { ...builtinAgents }, lanes: { count: 2, resourceLimits: { stackSizeMb: 16 } }, interruptGraceMs: 5000 });
const interpreter = (): Promise<string> => deferred(host(), { agent: "interpreter" });

/** @returns what the program came to, and what it printed */
async function run(id: string, prompt: string): Promise<{ text: string; printed: string }> {
  let printed = "";
  const onEvent = ({ payload }: EventEnvelope): void => {
    expect(payload.type).toBe("text_delta");
    printed += (payload as { delta: string }).delta;
  };
  const { text } = await host().startTurn(id, { prompt, onEvent });
  return { text, printed };
}

test("echo answers with its prompt, and streams it", async () => {
  const events: EventEnvelope[] = [];
  const { text } = await host().createSession({ prompt: "hello", agent: "echo", onEvent: (event) => void events.push(event) });
  expect([text, ...events.map(({ payload }) => payload)]).toEqual(["hello", { type: "text_delta", delta: "hello" }]);
});

describe("interpreter", () => {
  test("globals live on across turns, console output streams, the completion value is the result", async () => {
    const id = await interpreter();
    expect(await run(id, "let total = 0; const add = (n) => (total += n); add(2)")).toEqual({ text: "2", printed: "" });
    expect(await run(id, "console.log('adding', { n: 40 }); add(40)")).toEqual({ text: "42", printed: "adding {n: 40}\n" });
    expect((await host().readHistory(id)).messages.map(({ role }) => role)).toEqual(["user", "assistant", "user", "assistant"]);
  });

  test("sessions share nothing, also in one lane", async () => {
    const ids = await Promise.all(Array.from({ length: 6 }, interpreter));
    await Promise.all(ids.map((id, n) => run(id, `var mine = ${n}; Array.prototype.mine = mine`)));
    expect(await Promise.all(ids.map(async (id) => (await run(id, "`${mine} ${[].mine}`")).text))).toEqual(ids.map((_, n) => `${n} ${n}`));
    expect((await run(await interpreter(), "typeof mine + typeof [].mine")).text).toBe("undefinedundefined");
  });

  test("A3: a program's error comes with message and line, and leaves the session usable and its transcript as it was", async () => {
    const id = await interpreter();
    await run(id, "let x = 1");
    const error = await errorOf(host().startTurn(id, { prompt: "x = 2;\nnull.length" }));
    expect(error).toMatchObject({ code: "AGENT_ERROR", sessionId: id });
    expect(error.message).toMatch(/TypeError: .*line 2/);
    expect(await errorOf(host().startTurn(id, { prompt: "let x = 3" }))).toMatchObject({
      code: "AGENT_ERROR",
      message: expect.stringMatching(/SyntaxError/) as string,
    });
    expect((await run(id, "x")).text).toBe("2");
    expect((await host().read(id)).state.messageCount).toBe(4);
  });

  test("a program that loops for ever is stopped by interrupt and by its time limit, whatever it catches, and goes on afterwards", async () => {
    const id = await interpreter();
    await run(id, "let rounds = 0");
    const endless = "for (;;) { try { rounds++; } catch { } finally { continue; } }";
    const looping = errorOf(host().startTurn(id, { prompt: endless }));
    await until("it loops", async () => (await host().read(id)).state.isActive);
    await sleep(50);
    await host().interrupt(id);
    expect(await settled(looping)).toMatchObject({ agentError: { kind: "cancelled" }, details: { reason: "interrupt" } });
    expect(Number((await run(id, "rounds")).text)).toBeGreaterThan(0);
    expect(await settled(errorOf(host().startTurn(id, { prompt: endless, timeoutMs: 50 })))).toMatchObject({
      details: { reason: "timeout" },
    });
    expect(await run(id, "6 * 7")).toEqual({ text: "42", printed: "" });
    expect(host().inspect().lanesLost).toBe(0);
  });

  test("a program that fills its 32 MB fails its own turn; the session and its neighbours go on", async () => {
    const [hog, neighbour] = [await interpreter(), await interpreter()];
    await run(neighbour, "let kept = 'kept'");
    const error = await settled(errorOf(host().startTurn(hog, { prompt: "const all = []; for (;;) all.push(new Array(1e5).fill(7));" })));
    expect(error).toMatchObject({ code: "AGENT_ERROR", message: expect.stringMatching(/memory/) as string });
    expect((await run(hog, "1 + 1")).text).toBe("2");
    expect((await run(neighbour, "kept")).text).toBe("kept");
  });

  test("a program reaches nothing of the host", async () => {
    const names = "['require', 'process', 'fetch', 'setTimeout', 'WebAssembly', 'Atomics', 'import'].filter((name) => name in globalThis)";
    expect((await run(await interpreter(), names)).text).not.toMatch(/require|process|fetch|setTimeout|WebAssembly/);
    expect((await errorOf(host().startTurn(await interpreter(), { prompt: "import('node:fs').then(() => 'in')" }))).code).toBe(
      "AGENT_ERROR",
    );
  });

  test("A2: what is printed in bulk arrives whole and in order", async () => {
    const { printed } = await run(await interpreter(), "for (let i = 0; i < 20000; i++) console.log(i)");
    expect(printed).toBe(`${Array.from({ length: 20_000 }, (_, i) => i).join("\n")}\n`);
  });

  test("two busy programs in two lanes are both stopped while reads are answered", async () => {
    const ids = [await interpreter(), await interpreter()];
    const turns = ids.map((id) => errorOf(host().startTurn(id, { prompt: "for (;;);" })));
    expect((await host().list()).filter(({ sessionId, isActive }) => ids.includes(sessionId) && isActive)).toHaveLength(2);
    for (const id of ids) await host().interrupt(id);
    for (const turn of turns) expect((await settled(turn)).agentError?.kind).toBe("cancelled");
  });

  test("A4: a session that is resumed has its transcript, and the globals of its good turns, silently", async () => {
    const id = await interpreter();
    await run(id, "console.log('once'); let x = 1; x");
    await errorOf(host().startTurn(id, { prompt: "x = 7; throw new Error('no')" }));
    await run(id, "x += 1; var y = 'kept'");
    const resumeSession = await host().exportSession(id);
    await host().discardLiveSession(id);
    expect(await deferred(host(), { agent: "interpreter", build: { resumeSession } })).toBe(id);
    expect(await run(id, "y + x")).toEqual({ text: "kept2", printed: "" });
    expect((await host().readHistory(id)).messageCount).toBe(6);
  });

  test("A4: a program that cannot run again fails the turn that needs it, and says which", async () => {
    const id = await interpreter();
    await run(id, "let x = 1");
    const resumeSession = await host().exportSession(id);
    await host().discardLiveSession(id);
    resumeSession.messages.push({ role: "user", content: "nowhere.y" }, { role: "assistant", content: "1" });
    await deferred(host(), { agent: "interpreter", build: { resumeSession } });
    for (let again = 0; again < 2; again++) {
      const error = await errorOf(host().startTurn(id, { prompt: "x" }));
      expect(error.message).toMatch(/program 2 of this session, which ran before, failed .*'nowhere' is not defined/);
    }
  });

  test("A4: making globals again can be interrupted", async () => {
    const id = await interpreter();
    await run(id, "let x = 1");
    const resumeSession = await host().exportSession(id);
    await host().discardLiveSession(id);
    resumeSession.messages.push({ role: "user", content: "for (;;);" }, { role: "assistant", content: "1" });
    await deferred(host(), { agent: "interpreter", build: { resumeSession } });
    expect((await errorOf(host().startTurn(id, { prompt: "x", timeoutMs: 300 }))).agentError?.kind).toBe("cancelled");
  });
});
