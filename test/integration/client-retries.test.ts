/** What `warren/client` sends again, and what it does not. */
import { afterEach, describe, expect, test, vi } from "vitest";

import type { Answer } from "../helpers/clients.ts";
import { clientErrorOf, scriptedClient } from "../helpers/clients.ts";

const RESULT = { text: "done", sessionId: "s", turns: 1, toolCalls: 0, usage: { inputTokens: 0, outputTokens: 0 } };
const ok: Answer = { status: 200, body: RESULT };
const problem = (status: number, code: string, disposition: string, details?: object): Answer => ({
  status,
  body: {
    type: `urn:warren:error:${code}`,
    title: "",
    status,
    detail: code,
    instance: "/",
    code,
    disposition,
    ...(details && { details }),
  },
});
const busy = problem(503, "HOST_OVERLOADED", "retry", { retryAfterMs: 1 });
const keysOf = (asked: Request[]) => [...new Set(asked.map(({ headers }) => headers.get("idempotency-key")))];

describe("R1: a request is sent again", () => {
  test("after failures of the connection, with the same Idempotency-Key", async () => {
    const { client, asked } = scriptedClient(["cut", "cut", ok, ok]);
    expect((await client.startTurn("s", { prompt: "x" })).text).toBe("done");
    expect(asked).toHaveLength(3);
    expect(keysOf(asked)).toEqual([expect.stringMatching(/^[0-9a-f]{32}$/)]);
    await client.startTurn("s", { prompt: "x" });
    expect(keysOf(asked)).toHaveLength(2);
  });

  test("with the caller's key, below the path of the server's address", async () => {
    const { client, asked } = scriptedClient([busy, ok], { key: "secret", headers: { "x-app": "mine" } });
    await client.startTurn("a/b", { prompt: "x" }, { idempotencyKey: "mine" });
    const [first, second] = asked;
    expect(first?.url).toBe("http://warren.test/base/v1/sessions/a%2Fb/turns");
    expect(keysOf(asked)).toEqual(["mine"]);
    expect([second?.headers.get("authorization"), second?.headers.get("x-app")]).toEqual(["Bearer secret", "mine"]);
  });

  test("as often as `retries` says, then the last error is the caller's", async () => {
    const { client, asked } = scriptedClient([busy, busy, busy, ok], { retries: 1 });
    expect(await clientErrorOf(client.list())).toMatchObject({ code: "HOST_OVERLOADED", status: 503, retryAfterMs: 1 });
    expect(asked).toHaveLength(2);
  });

  test.each([
    ["that says give-up", problem(404, "SESSION_NOT_FOUND", "give-up")],
    ["that says bug", problem(400, "INVALID_PARAMS", "bug")],
    ["of which nobody knows whether it ran", problem(503, "AGENT_ERROR", "retry", { outcome: "unknown" })],
  ])("but not after an answer %s", async (_, answer) => {
    const { client, asked } = scriptedClient([answer, ok]);
    await clientErrorOf(client.startTurn("s", { prompt: "x" }));
    expect(asked).toHaveLength(1);
  });

  test("what a cut-off DELETE has done already is no error", async () => {
    const { client } = scriptedClient(["cut", problem(404, "SESSION_NOT_FOUND", "give-up")]);
    await client.archive("s");
  });

  test("a turn that is followed, until its events have begun", async () => {
    const events = (body: string): Answer => ({ status: 200, body, headers: { "content-type": "text/event-stream; charset=utf-8" } });
    const { client, asked } = scriptedClient([
      "cut",
      events(""),
      events(`event: admitted\ndata: {"ticket":7}\n\nevent: result\ndata: ${JSON.stringify(RESULT)}\n\n`),
      events('event: admitted\ndata: {"ticket":8}\n\n'),
    ]);
    const tickets: number[] = [];
    const call = () => client.startTurn("s", { prompt: "x" }, { onAdmitted: (ticket) => tickets.push(ticket) });
    expect((await call()).text).toBe("done");
    expect([keysOf(asked).length, tickets]).toEqual([1, [7]]);
    expect((await clientErrorOf(call())).code).toBe("STREAM_CUT");
  });
});

test("R2: a first attempt that is still at work is waited for", async () => {
  const working = problem(409, "IDEMPOTENCY_IN_PROGRESS", "retry", { retryAfterMs: 1 });
  const { client, asked } = scriptedClient(["cut", working, working, working, ok]);
  expect((await client.startTurn("s", { prompt: "x" })).text).toBe("done");
  expect(asked).toHaveLength(5);
  // Somebody else's, though, is theirs.
  const other = scriptedClient([working, ok], { retries: 0 });
  expect((await clientErrorOf(other.client.startTurn("s", { prompt: "x" }, { idempotencyKey: "k" }))).code).toBe("IDEMPOTENCY_IN_PROGRESS");
});

describe("R3: what waits for a turn outlasts the patience of what carries it", () => {
  afterEach(() => vi.restoreAllMocks());

  /** Each attempt takes a minute of the clock, if not of the test. */
  const patientFor = (attempts: Answer[], retries = 2) => {
    let nowMs = 0;
    vi.spyOn(performance, "now").mockImplementation(() => (nowMs += 60_000));
    return scriptedClient(attempts, { retries });
  };
  const away: Answer = { status: 504, body: "" };

  test("a turn goes on waiting for its answer, under its key", async () => {
    const { client, asked } = patientFor(["cut", "cut", away, "cut", ok], 1);
    expect((await client.startTurn("s", { prompt: "x" })).text).toBe("done");
    expect([asked.length, keysOf(asked).length]).toEqual([5, 1]);
  });

  test("and so does its transcript", async () => {
    const page = { messages: [], hasMore: false };
    const { client } = patientFor(["cut", away, "cut", { status: 200, body: page }], 1);
    expect(await client.history("s")).toEqual(page);
  });

  test("nothing else does, and an answer of the server is one", async () => {
    expect(await clientErrorOf(patientFor(["cut", "cut", ok], 1).client.list())).toMatchObject({ code: "CONNECTION_FAILED" });
    const { client } = patientFor([busy, busy, ok], 1);
    expect(await clientErrorOf(client.startTurn("s", { prompt: "x" }))).toMatchObject({ code: "HOST_OVERLOADED" });
  });

  test("one that a disconnect would cancel is followed, which is never silent", async () => {
    const { client, asked } = scriptedClient([ok, ok]);
    await client.startTurn("s", { prompt: "x", cancelOnDisconnect: true });
    await client.startTurn("s", { prompt: "x" });
    expect(asked.map(({ headers }) => headers.get("accept")?.startsWith("text/event-stream"))).toEqual([true, false]);
  });
});

test("a pause between attempts ends with its signal", async () => {
  const { client } = scriptedClient([problem(503, "HOST_OVERLOADED", "retry", { retryAfterMs: 3_600_000 })]);
  const controller = new AbortController();
  const call = client.list({}, { signal: controller.signal });
  setTimeout(() => controller.abort(new Error("enough")), 20);
  await expect(call).rejects.toThrow("enough");
});

test("answers that are not Warren's are told as such", async () => {
  const { client } = scriptedClient([
    { status: 200, body: "<html>" },
    { status: 500, body: "<html>" },
    { status: 502, body: "", headers: { "retry-after": "0" } },
    { status: 200, body: { data: [] } },
  ]);
  expect((await clientErrorOf(client.list())).code).toBe("BAD_ANSWER");
  expect(await clientErrorOf(client.list())).toMatchObject({ code: "BAD_ANSWER", status: 500 });
  expect(await client.list()).toEqual({ data: [] }); // a proxy whose server was away
});
