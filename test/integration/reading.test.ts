/** Reading: views, lists and their pages, exports and histories. */
import { describe, expect, test } from "vitest";

import { codeOf, deferred, errorOf, gate, hosts, script, settled, sharedHost } from "../helpers/hosts.ts";

describe("beside others", () => {
  const host = sharedHost();

  test("A17: read shows every field after a turn", async () => {
    const service = host();
    const before = Date.now();
    const { sessionId } = await service.createSession({
      prompt: script(["addUsage", { inputTokens: 100, cacheCreationTokens: 7, cacheReadTokens: 8 }], ["say", "the answer"]),
      labels: { team: "blue" },
    });
    const view = await service.read(sessionId);
    const time = expect.any(Number);
    expect(view).toEqual({
      state: {
        sessionId,
        createdAt: time,
        updatedAt: time,
        messageCount: 2,
        isActive: false,
        lastAssistantText: "the answer",
        labels: { team: "blue" },
      },
      billing: { totalTokens: 105, usage: { inputTokens: 103, outputTokens: 2, cacheCreationTokens: 7, cacheReadTokens: 8 } },
    });
    expect(view.state.createdAt).toBeGreaterThanOrEqual(before);
    expect(view.state.updatedAt).toBeGreaterThanOrEqual(view.state.createdAt);
    expect(view.state.updatedAt).toBeLessThanOrEqual(Date.now());
    await service.startTurn(sessionId, { prompt: "next answer" });
    expect((await service.read(sessionId)).state.lastAssistantText).toBe("next answer");
  });

  test("A17: token counts beyond 32 bits are exact", async () => {
    const service = host();
    const { sessionId } = await service.createSession({ prompt: script(["addUsage", { inputTokens: 2 ** 40, outputTokens: 2 ** 33 }]) });
    expect((await service.read(sessionId)).billing).toMatchObject({
      totalTokens: 2 ** 40 + 2 ** 33 + 5,
      usage: { inputTokens: 2 ** 40 + 3 },
    });
  });

  test("A17: what reads give is a copy", async () => {
    const service = host();
    const { sessionId } = await service.createSession({ prompt: "x", labels: { a: "1" } });
    const view = await service.read(sessionId);
    view.state.labels["a"] = "2";
    view.billing.usage.inputTokens = 99;
    expect(await service.read(sessionId)).toMatchObject({ state: { labels: { a: "1" } }, billing: { usage: { inputTokens: 3 } } });
  });

  test("A17: reading never waits for a running turn", async () => {
    const service = host();
    const { sessionId } = await service.createSession({ prompt: "first" });
    const turn = service.startTurn(sessionId, { prompt: script(["sleep", 80], ["say", "second"]) });
    let isOver = false;
    void turn.then(() => (isOver = true));
    expect((await service.read(sessionId)).state).toMatchObject({ messageCount: 2, isActive: true, lastAssistantText: "first" });
    expect(isOver).toBe(false);
    await turn;
  });

  test("A17: an unknown session is not found", async () => {
    const error = await errorOf(host().read("no-such"));
    expect(error).toMatchObject({
      code: "SESSION_NOT_FOUND",
      message: "session not found: no-such",
      sessionId: "no-such",
      disposition: "give-up",
    });
  });

  test("A25: an export holds messages, times, usage and labels, and can be changed at will", async () => {
    const service = host();
    const tools = [
      { role: "assistant", content: "", toolCalls: [{ id: "t1", name: "read", args: { path: "a" } }] },
      { role: "tool_results", results: [{ toolUseId: "t1", content: "text", isError: false }] },
    ];
    const { sessionId } = await service.createSession({
      prompt: script(["append", ...tools], ["say", "ok"]),
      systemPrompt: "be brief",
      labels: { a: "1" },
    });
    const session = await service.exportSession(sessionId);
    const { state } = await service.read(sessionId);
    expect(session).toMatchObject({
      version: 1,
      id: sessionId,
      createdAt: state.createdAt,
      updatedAt: state.updatedAt,
      usage: { inputTokens: 3, outputTokens: 2 },
    });
    expect(session.metadata).toMatchObject({ session_labels: { a: "1" } });
    expect(session.messages.map(({ role }) => role)).toEqual(["system", "user", "assistant", "tool_results", "assistant"]);
    expect(session.messages[2]).toEqual(tools[0]);
    expect(session.messages[3]).toEqual(tools[1]);
    expect(state.messageCount).toBe(5);
    session.messages.length = 0;
    expect((await service.exportSession(sessionId)).messages).toHaveLength(5);
  });

  test("A25: an export waits for the running turn; an unknown session is not found", async () => {
    const service = host();
    const id = await deferred(service);
    const started = gate();
    let isOver = false;
    const turn = service
      .startTurn(id, { prompt: script(["emit", 1], ["sleep", 80]), onEvent: () => started.open() })
      .then(() => (isOver = true));
    await started.promise;
    const session = await settled(service.exportSession(id));
    expect({ isOver, messages: session.messages.length }).toEqual({ isOver: true, messages: 2 });
    await turn;
    expect(await codeOf(service.exportSession("no-such"))).toBe("SESSION_NOT_FOUND");
  });

  test("A26: history pages", async () => {
    const service = host();
    const id = await deferred(service);
    for (const prompt of ["a", "b", "c"]) await service.startTurn(id, { prompt });
    const page = async (query?: { offset?: number; limit?: number }) => {
      const { messages, ...rest } = await service.readHistory(id, query);
      return { ...rest, texts: messages.map((message) => ("content" in message ? message.content : "")).join("") };
    };
    const base = { sessionId: id, messageCount: 6 };
    expect(await page()).toEqual({ ...base, offset: 0, hasMore: false, texts: "aabbcc" });
    expect(await page({ offset: 1, limit: 2 })).toEqual({ ...base, offset: 1, limit: 2, hasMore: true, texts: "ab" });
    expect(await page({ offset: 4, limit: 2 })).toEqual({ ...base, offset: 4, limit: 2, hasMore: false, texts: "cc" });
    expect(await page({ limit: 0 })).toEqual({ ...base, offset: 0, limit: 0, hasMore: true, texts: "" });
    expect(await page({ offset: 6, limit: 0 })).toEqual({ ...base, offset: 6, limit: 0, hasMore: false, texts: "" });
    expect(await page({ offset: 99, limit: 2 })).toEqual({ ...base, offset: 6, limit: 2, hasMore: false, texts: "" });
    expect(await codeOf(service.readHistory("no-such"))).toBe("SESSION_NOT_FOUND");
  });

  test("A26: a history of many large messages crosses whole", async () => {
    const service = host();
    const big = "ä".repeat(150_000);
    const messages = Array.from({ length: 10 }, () => ({ role: "assistant", content: big }));
    const { sessionId } = await service.createSession({ prompt: script(["append", ...messages]) });
    const page = await settled(service.readHistory(sessionId, { offset: 1, limit: 10 }));
    expect(page.messages.every((message) => "content" in message && message.content === big)).toBe(true);
    expect(page.messageCount).toBe(12);
  });
});

describe("with the list to itself", () => {
  const openHost = hosts();

  test("A19: list is in order of creation, with offset, limit and after", async () => {
    const service = await openHost({ lanes: { count: 2 } });
    const ids: string[] = [];
    for (let i = 0; i < 5; i++) ids.push(await deferred(service));
    const listed = async (query?: object) => (await service.list(query)).map(({ sessionId }) => ids.indexOf(sessionId));
    expect(await listed()).toEqual([0, 1, 2, 3, 4]);
    expect(await listed({ offset: 2, limit: 2 })).toEqual([2, 3]);
    expect(await listed({ offset: 5 })).toEqual([]);
    expect(await listed({ offset: 99 })).toEqual([]);
    expect(await listed({ limit: 0 })).toEqual([]);
    expect(await listed({ limit: 99 })).toEqual([0, 1, 2, 3, 4]);
    expect(await listed({ after: ids[1] })).toEqual([2, 3, 4]);
    expect(await listed({ after: ids[1], offset: 1, limit: 1 })).toEqual([3]);
    expect(await listed({ after: ids[4] })).toEqual([]);
    await service.archive(ids[2] as string);
    expect(await listed()).toEqual([0, 1, 3, 4]);
    // A page may start behind a session that is gone by now.
    expect(await listed({ after: ids[2] })).toEqual([3, 4]);
  });

  test("A19: paging with after meets every session that stays, whatever comes and goes meanwhile", async () => {
    const service = await openHost({ lanes: { count: 2 } });
    const ids = await Promise.all(Array.from({ length: 30 }, () => deferred(service)));
    const staying = ids.filter((_, i) => i % 3 !== 0);
    const met: string[] = [];
    for (let after: string | undefined; ;) {
      const page = await service.list({ limit: 4, ...(after && { after }) });
      if (page.length === 0) break;
      met.push(...page.map(({ sessionId }) => sessionId));
      after = page.at(-1)?.sessionId;
      const leaving = ids.filter((id, i) => i % 3 === 0 && id > (after as string)).at(0);
      if (leaving) await service.archive(leaving).catch(() => {});
    }
    expect(new Set(met).size).toBe(met.length);
    expect(met).toEqual(expect.arrayContaining(staying));
  });

  test("A20: labels filter by exact match of every pair, ahead of paging", async () => {
    const service = await openHost();
    await deferred(service, { labels: { team: "blue", env: "prod" } });
    await deferred(service, { labels: { team: "red", env: "prod" } });
    await deferred(service);
    const teams = async (labels: Record<string, string>, page = {}) =>
      (await service.list({ labels, ...page })).map((summary) => summary.labels["team"]);
    expect(await teams({ team: "blue" })).toEqual(["blue"]);
    expect(await teams({ team: "red", env: "prod" })).toEqual(["red"]);
    expect(await teams({ team: "blue", env: "dev" })).toEqual([]);
    expect(await teams({ env: "prod" })).toEqual(["blue", "red"]);
    expect(await teams({ env: "prod" }, { offset: 1, limit: 1 })).toEqual(["red"]);
    expect(await teams({ constructor: "x" })).toEqual([]);
    expect(await teams({})).toHaveLength(3);
    expect((await service.read((await service.list({ labels: { team: "red" } }))[0]?.sessionId as string)).state.labels).toEqual({
      team: "red",
      env: "prod",
    });
  });
});
