/** `warren/client` against a real server: every call, typed errors, turns as streams. */
import { describe, expect, onTestFinished, test, vi } from "vitest";

import { WarrenClient } from "../../dist/src/client/index.js";
import { hosts, script, settled, sharedHost, sleep, until } from "../helpers/hosts.ts";
import { clientErrorOf, servers } from "../helpers/clients.ts";

const host = sharedHost();
const serve = servers();
const served = async () => (await serve(host())).client;

describe("sessions", () => {
  test("are created, run, looked at, listed and archived", async () => {
    const client = await served();
    const labels = { user: "ada & co", topic: "ü/?#" };
    const { sessionId, text } = await client.createSession({ prompt: "hello", labels });
    expect(text).toBe("hello");
    expect((await client.startTurn(sessionId, { prompt: "again" })).text).toBe("again");
    expect((await client.read(sessionId)).state).toMatchObject({ sessionId, messageCount: 4, isActive: false, labels });
    expect((await client.list({ labels })).data.map((summary) => summary.sessionId)).toEqual([sessionId]);
    expect((await client.history(sessionId, { offset: 1, limit: 2 })).messages).toHaveLength(2);
    expect(await client.appendSystemContext(sessionId, { text: "be brief" })).toEqual({ status: "staged" });
    await client.archive(sessionId);
    expect((await client.list({ labels })).data).toEqual([]);
    expect(await clientErrorOf(client.startTurn(sessionId, { prompt: "x" }))).toMatchObject({ code: "SESSION_NOT_FOUND", status: 404 });
  });

  test("and messages come over pages, each once", async () => {
    const client = await served();
    const labels = { pages: "yes" };
    const ids: string[] = [];
    for (let i = 0; i < 7; i++) ids.push((await client.createSession({ initialTurn: "defer", labels })).sessionId);
    const seen = [];
    for await (const { sessionId } of client.sessions({ labels, limit: 3 })) seen.push(sessionId);
    expect(seen).toEqual(ids);
    const [first = ""] = ids;
    for (let i = 0; i < 3; i++) await client.startTurn(first, { prompt: `turn ${i}` });
    const contents = [];
    for await (const message of client.messages(first, { limit: 4 })) contents.push("content" in message && message.content);
    expect(contents).toEqual(["turn 0", "turn 0", "turn 1", "turn 1", "turn 2", "turn 2"]);
  });

  test("the host and its health are told", async () => {
    const client = await served();
    expect((await client.host()).lanes.length).toBeGreaterThan(0);
    expect(await client.health()).toEqual({ status: "ok" });
  });
});

describe("errors", () => {
  test("carry the problem document", async () => {
    const client = await served();
    const wrong = await clientErrorOf(client.createSession({ prompt: "x", maxTokens: -1 }));
    expect(wrong).toMatchObject({ code: "INVALID_PARAMS", status: 400, disposition: "bug" });
    expect(wrong.problem?.errors?.map(({ field }) => field)).toEqual(["maxTokens"]);
    const { sessionId } = await client.createSession({ initialTurn: "defer" });
    const failed = await clientErrorOf(client.startTurn(sessionId, { prompt: script(["failKind", "odd", "it went wrong"]) }));
    expect(failed.problem?.agentError).toMatchObject({ kind: "odd", message: "it went wrong" });
    expect(await clientErrorOf(client.interrupt(sessionId))).toMatchObject({ code: "SESSION_NOT_RUNNING", disposition: "give-up" });
    // A turn that fails after it began tells it in its stream.
    const streamed = client.startTurn(sessionId, { prompt: script(["emit", 1], ["failKind", "odd", "again"]) }, { onEvent: () => {} });
    expect((await clientErrorOf(streamed)).problem?.agentError?.kind).toBe("odd");
  });

  test("a server that is away is CONNECTION_FAILED", async () => {
    const { client, server } = await serve(host());
    await server.close();
    expect(await clientErrorOf(client.list())).toMatchObject({ code: "CONNECTION_FAILED", disposition: "retry", status: undefined });
  });

  test("a call that is given up rejects with its signal's reason, and its turn goes on", async () => {
    const client = await served();
    const { sessionId } = await client.createSession({ initialTurn: "defer" });
    const controller = new AbortController();
    const reason = new Error("no longer wanted");
    const turn = client.startTurn(
      sessionId,
      { prompt: script(["sleep", 60_000]) },
      { signal: controller.signal, onAdmitted: () => controller.abort(reason) },
    );
    await expect(turn).rejects.toBe(reason);
    expect((await client.read(sessionId)).state.isActive).toBe(true);
    await client.interrupt(sessionId);
  });
});

describe("R3: a turn that takes longer than fetch waits for an answer", () => {
  /** Node's own gives up after five minutes; this one after a moment. */
  const impatient: typeof fetch = async (input, init) => {
    await fetch(new URL("/healthz", input as URL)); // the first request makes the dispatcher
    const { constructor } = (globalThis as Record<symbol, unknown>)[Symbol.for("undici.globalDispatcher.1")] as object;
    const dispatcher = Reflect.construct(constructor, [{ headersTimeout: 200 }]) as { destroy(): Promise<void> };
    onTestFinished(() => dispatcher.destroy());
    return fetch(input, { ...init, dispatcher } as RequestInit);
  };
  const open = hosts();

  test.each([
    ["waits under its key", {}],
    ["is not cancelled by it", { cancelOnDisconnect: true }],
  ])("%s", async (_, options) => {
    const service = await open();
    const { server, client } = await serve(service);
    const { sessionId } = await client.createSession({ initialTurn: "defer" });
    const now = performance.now.bind(performance);
    vi.spyOn(performance, "now").mockImplementation(() => now() * 1000);
    onTestFinished(() => void vi.restoreAllMocks());
    const patient = new WarrenClient({ url: server.url, fetch: impatient, retries: 1 });
    const prompt = script(["sleep", 1500], ["say", "at last"]);
    const [{ text }, page] = await Promise.all([
      patient.startTurn(sessionId, { prompt, ...options }),
      until("it runs", () => service.inspect().turns.running > 0).then(() => patient.history(sessionId)),
    ]);
    expect([text, page.messages.length, service.inspect().turns.settled]).toEqual(["at last", 2, 1]);
  });
});

describe("a turn as a stream", () => {
  const open = hosts();

  test("gives its ticket, its events in order, and its result", async () => {
    const client = await served();
    const { sessionId } = await client.createSession({ initialTurn: "defer" });
    const stream = client.streamTurn(sessionId, { prompt: script(["emit", 1000]) });
    const seqs = [];
    for await (const { seq } of stream) seqs.push(seq);
    expect(seqs).toEqual(Array.from({ length: 1000 }, (_, index) => index + 1));
    expect(await stream.ticket).toBeGreaterThan(0);
    expect((await stream.result).sessionId).toBe(sessionId);
  });

  test("I1: without a reader the result comes all the same, and a gap says what was lost", async () => {
    const client = await served();
    const { sessionId } = await client.createSession({ initialTurn: "defer" });
    const stream = client.streamTurn(sessionId, { prompt: script(["emit", 1000]) });
    await stream.result;
    const seen = [];
    for await (const { seq, payload } of stream) seen.push(seq === 0 ? payload : seq);
    expect(seen[0]).toEqual({ type: "stream_truncated", reason: { kind: "stream_lagged", dropped: 744 } });
    expect(seen.slice(1)).toEqual(Array.from({ length: 256 }, (_, index) => 745 + index));
  });

  test("I2: a reader that stops reading holds the connection back for a while, then loses the oldest", async () => {
    const client = await served();
    const { sessionId } = await client.createSession({ initialTurn: "defer" });
    const { setTimeout: real } = globalThis;
    const shortened = (run: () => void, ms?: number): unknown => real(run, ms === 10_000 ? 200 : ms);
    vi.spyOn(globalThis, "setTimeout").mockImplementation(shortened as typeof setTimeout);
    onTestFinished(() => void vi.restoreAllMocks());
    const stream = client.streamTurn(sessionId, { prompt: script(["emit", 1000]) });
    const events = stream[Symbol.asyncIterator]();
    const first = await events.next();
    expect((await settled(stream.result)).sessionId).toBe(sessionId);
    const seen = [first.value?.seq];
    for (let step; (step = await events.next()).done !== true;) {
      const { seq, payload } = step.value;
      seen.push(seq === 0 ? -(payload as unknown as { reason: { dropped: number } }).reason.dropped : seq);
    }
    expect(seen).toEqual([1, -743, ...Array.from({ length: 256 }, (_, index) => 745 + index)]);
  });

  test("I2: nor does it hold back the call's signal", async () => {
    const client = await served();
    const { sessionId } = await client.createSession({ initialTurn: "defer" });
    const controller = new AbortController();
    const stream = client.streamTurn(sessionId, { prompt: script(["emit", 1000]) }, { signal: controller.signal });
    await stream[Symbol.asyncIterator]().next();
    await sleep(100); // it is held back by then, most of the time
    controller.abort(new Error("enough"));
    await expect(settled(stream.result)).rejects.toThrow("enough");
  });

  test("a call is given up with its signal while a consumer is still at it", async () => {
    const client = await served();
    const { sessionId } = await client.createSession({ initialTurn: "defer" });
    const controller = new AbortController();
    const onEvent = (): Promise<void> => {
      controller.abort(new Error("enough"));
      return new Promise(() => {});
    };
    const turn = client.startTurn(sessionId, { prompt: script(["emit", 1]) }, { signal: controller.signal, onEvent });
    await expect(settled(turn)).rejects.toThrow("enough");
  });

  test("I3: leaving the loop lets the turn go on", async () => {
    const client = await served();
    const { sessionId } = await client.createSession({ initialTurn: "defer" });
    const stream = client.streamTurn(sessionId, { prompt: script(["emit", 3], ["sleep", 20], ["emit", 500]) });
    for await (const { seq } of stream) if (seq === 2) break;
    expect((await stream.result).sessionId).toBe(sessionId);
  });

  test("is interrupted, and no other turn with it", async () => {
    const client = await served();
    const { sessionId } = await client.createSession({ initialTurn: "defer" });
    const stream = client.streamTurn(sessionId, { prompt: script(["emit", 1], ["sleep", 60_000]) });
    const read = (async () => {
      for await (const _ of stream) await stream.interrupt();
    })();
    expect((await clientErrorOf(read)).problem?.agentError?.kind).toBe("cancelled");
    expect((await clientErrorOf(stream.result)).problem?.agentError?.kind).toBe("cancelled");
    const next = client.startTurn(sessionId, { prompt: script(["sleep", 50]) });
    await until("it runs", async () => (await client.read(sessionId)).state.isActive);
    expect((await clientErrorOf(stream.interrupt())).code).toBe("SESSION_NOT_RUNNING");
    await next;
  });

  test("a consumer that throws is told nothing more, and the turn goes on", async () => {
    const client = await served();
    let told = 0;
    const { text } = await client.createSession(
      { prompt: script(["emit", 5]) },
      {
        onEvent: () => {
          told++;
          throw new Error("no more");
        },
      },
    );
    expect([told, typeof text]).toEqual([1, "string"]);
  });

  test("C1: one that is cut off within its events is not sent again", async () => {
    const service = await open();
    const { client, server } = await serve(service);
    const { sessionId } = await client.createSession({ initialTurn: "defer" });
    const stream = client.streamTurn(sessionId, { prompt: script(["emit", 1], ["sleep", 60_000]) });
    await stream.ticket;
    const closed = server.close({ deadlineMs: 0 });
    expect(await clientErrorOf(stream.result)).toMatchObject({ code: "STREAM_CUT", disposition: "give-up" });
    await service.interrupt(sessionId);
    await closed;
    await until("it has ended", () => service.inspect().turns.running === 0);
    expect(service.inspect().turns.settled).toBe(1);
  });
});
