/** What a turn does when its session is busy: each mode of onBusy, on both services, and what becomes of those that wait. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import type { CallOptions, StartTurnRequest } from "../../dist/src/index.js";
import { EphemeralSessionService, PersistentSessionService, SessionError } from "../../dist/src/index.js";
import { SCRIPTED, codeOf, deferred, errorOf, gate, hosts, kindOf, script, settled, sleep, until } from "../helpers/hosts.ts";
import { contents, echoed, persistentHosts } from "../helpers/persistent-hosts.ts";
import { CRASH_SEED, randomOf } from "../helpers/seeded.ts";

type Service = EphemeralSessionService | PersistentSessionService;
type OnBusy = NonNullable<StartTurnRequest["onBusy"]>;

const openEphemeral = hosts();
const { open: openPersistent } = persistentHosts();
const WAITING_MODES = ["enqueue", "interrupt", "rollback", "latest", "merge"] as const;

/** A turn that runs until its boundary is asked for. */
function hold(service: Service, id: string): { turn: Promise<string>; end: () => Promise<void> } {
  const turn = service.startTurn(id, { prompt: script(["untilBoundary"]) }).then(({ text }) => text);
  turn.catch(() => {});
  return { turn, end: () => service.cancelAfterBoundary(id) };
}

/** A turn that has written into its agent's state, and goes on. */
async function dirty(service: Service, id: string, ...then: Parameters<typeof script>): Promise<{ turn: Promise<unknown> }> {
  const begun = gate();
  const turn = service.startTurn(id, { prompt: script(["remember", "dirty"], ["emit", 1], ...then), onEvent: () => begun.open() });
  turn.catch(() => {});
  await begun.promise;
  return { turn };
}

/** A turn of a mode, its positions and its place in the order of admissions. */
function start(
  service: Service,
  id: string,
  onBusy: OnBusy,
  prompt: string,
  log: string[] = [],
  rest: Partial<StartTurnRequest> & Pick<CallOptions, "signal"> = {},
): Promise<string> {
  const { signal, ...request } = rest;
  const call = service.startTurn(
    id,
    { prompt, onBusy, ...request },
    { signal, onQueued: (position) => void log.push(`${prompt}@${position}`), onAdmitted: () => void log.push(`${prompt}!`) },
  );
  const text = call.then((result) => result.text);
  text.catch(() => {});
  return text;
}

/** Main stands still: it hears nothing meanwhile. */
const sleepNow = (ms: number): unknown => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

const notesOf = async (service: Service, id: string): Promise<{ notes: string[]; resumed: number }> => {
  const { text } = await service.startTurn(id, { prompt: script(["see", "state"]), onBusy: "enqueue" });
  return (JSON.parse(text) as { state: { notes: string[]; resumed: number } }).state;
};
const historyOf = async (service: Service, id: string): Promise<string[]> => contents((await service.readHistory(id)).messages);

describe.each([
  ["ephemeral", openEphemeral as (options: object) => Promise<Service>],
  ["persistent", openPersistent as (options: object) => Promise<Service>],
])("%s", (kind, openOwn) => {
  let shared: Service;
  beforeAll(async () => {
    const options = { agent: SCRIPTED, lanes: { count: 1 }, interruptGraceMs: 300 };
    shared =
      kind === "ephemeral"
        ? await EphemeralSessionService.open(options)
        : await PersistentSessionService.open({ ...options, store: { kind: "memory" } });
  });
  afterAll(() => shared.shutdown({ deadlineMs: 0 }));
  const open = async (options?: object): Promise<Service> => (options === undefined ? shared : openOwn(options));

  test.each(WAITING_MODES)("a session that is free: %s is admitted within the call, and told no position", async (onBusy) => {
    const service = await open();
    const id = await deferred(service);
    const log: string[] = [];
    const turn = start(service, id, onBusy, "a", log);
    expect(log).toEqual(["a!"]);
    expect(await turn).toBe("a");
    expect(log).toEqual(["a!"]);
  });

  test("enqueue: turns run in the order they came, each told its position whenever that changes", async () => {
    const service = await open();
    const id = await deferred(service);
    const { turn, end } = hold(service, id);
    const log: string[] = [];
    const turns = ["a", "b", "c"].map((prompt) => start(service, id, "enqueue", prompt, log));
    expect(log).toEqual(["a@1", "b@2", "c@3"]);
    expect(service.inspect().turns).toMatchObject({ running: 1, waiting: 3 });
    await end();
    expect(await turn).toBe("boundary, interrupted: false");
    expect(await Promise.all(turns)).toEqual(["a", "b", "c"]);
    expect(log.slice(3)).toEqual(["a!", "b@1", "c@2", "b!", "c@1", "c!"]);
    expect((await historyOf(service, id)).slice(2)).toEqual(echoed("a", "b", "c"));
    expect(service.inspect().turns).toMatchObject({ running: 0, waiting: 0 });
  });

  test("Z1: while a turn waits nobody comes in ahead of it, not even who holds the result of the one before", async () => {
    const service = await open();
    const id = await deferred(service);
    for (let round = 0; round < 20; round++) {
      const { turn, end } = hold(service, id);
      const log: string[] = [];
      const waiting = start(service, id, "enqueue", "a", log);
      const after = turn.then(() => [...log, "then"]);
      const thieves: Promise<string>[] = [];
      await end();
      // Between the lock that the lane frees and the report that says so there may be a moment: it is not for plain callers.
      while (log.length === 1) {
        thieves.push(codeOf(service.startTurn(id, { prompt: "thief" })));
        await new Promise(setImmediate);
      }
      expect(await after).toEqual(["a@1", "a!", "then"]);
      expect(await waiting).toBe("a");
      expect(new Set(await Promise.all(thieves))).toEqual(new Set(["SESSION_BUSY"]));
    }
  });

  test("interrupt: what runs is interrupted, this turn is next, those that wait stay, and the agent is kept", async () => {
    const service = await open();
    const id = await deferred(service);
    await service.startTurn(id, { prompt: "before" });
    const { turn: running } = await dirty(service, id, ["sleep", 60_000]);
    const log: string[] = [];
    const a = start(service, id, "enqueue", "a", log);
    const b = start(service, id, "interrupt", "b", log);
    expect(log).toEqual(["a@1", "b@1", "a@2"]);
    const error = await errorOf(running);
    expect(error).toMatchObject({ code: "AGENT_ERROR", agentError: { kind: "cancelled" }, details: { reason: "superseded" } });
    expect(await Promise.all([a, b])).toEqual(["a", "b"]);
    expect(log.slice(3)).toEqual(["b!", "a@1", "a!"]);
    expect(await historyOf(service, id)).toEqual(echoed("before", "b", "a"));
    expect(await notesOf(service, id)).toMatchObject({ notes: ["dirty"] });
  });

  test("interrupt: a turn that is past the point of no return stands", async () => {
    const service = await open();
    const id = await deferred(service);
    const { turn, end } = hold(service, id);
    await end();
    const next = start(service, id, "interrupt", "next");
    expect(["boundary, interrupted: false", "AGENT_ERROR"]).toContain(await turn.catch((error: SessionError) => error.code));
    expect(await next).toBe("next");
  });

  test("rollback: nothing of what the interrupted run did is left in its agent's memory", async () => {
    const service = await open();
    const id = await deferred(service);
    await service.startTurn(id, { prompt: script(["remember", "kept until now"]) });
    const { turn: running } = await dirty(service, id, ["sleep", 60_000]);
    const next = start(service, id, "rollback", script(["see", "state"]));
    expect(await errorOf(running)).toMatchObject({ agentError: { kind: "cancelled" }, details: { reason: "superseded" } });
    expect(JSON.parse(await next)).toEqual({ state: { agentName: "default", notes: [], resumed: 2 } });
    expect((await historyOf(service, id)).length).toBe(4);
  });

  test("rollback: with nothing running it just runs, in the agent that is there", async () => {
    const service = await open();
    const id = await deferred(service);
    await start(service, id, "rollback", script(["remember", "mine"]));
    await start(service, id, "rollback", "x");
    expect(await notesOf(service, id)).toMatchObject({ notes: ["mine"], resumed: 0 });
  });

  test("rollback: the run is undone also when whoever asked for it has left, and only once", async () => {
    const service = await open();
    const id = await deferred(service);
    const { turn: running } = await dirty(service, id, ["sleep", 60_000]);
    const abort = new AbortController();
    const gone = start(service, id, "rollback", "x", [], { signal: abort.signal });
    abort.abort(new Error("gave up"));
    await expect(gone).rejects.toThrow("gave up");
    expect(await kindOf(running)).toBe("cancelled");
    expect(await notesOf(service, id)).toMatchObject({ notes: [] });
    await service.startTurn(id, { prompt: script(["remember", "clean"]) });
    expect(await notesOf(service, id)).toMatchObject({ notes: ["clean"] });
  });

  test("rollback: a run that ignores its interrupt is given up, and undone", async () => {
    const service = await open({ interruptGraceMs: 50 });
    const id = await deferred(service);
    const { turn: running } = await dirty(service, id, ["hang"]);
    const next = start(service, id, "rollback", script(["see", "state"]));
    expect(await kindOf(running)).toBe("cancelled");
    expect(JSON.parse(await settled(next))).toMatchObject({ state: { notes: [] } });
    expect(service.inspect().events.run_abandoned).toBe(1);
  });

  test("latest: the one that waits gives its place to the next, and is told; the running turn finishes", async () => {
    const service = await open();
    const id = await deferred(service);
    const { turn, end } = hold(service, id);
    const log: string[] = [];
    const first = start(service, id, "latest", "one", log);
    const other = start(service, id, "enqueue", "other", log);
    const second = start(service, id, "latest", "two", log);
    expect(await errorOf(first)).toMatchObject({
      code: "AGENT_ERROR",
      disposition: "give-up",
      agentError: { kind: "superseded" },
      sessionId: id,
    });
    expect(log).toEqual(["one@1", "other@2", "two@1"]);
    expect(service.inspect().turns.waiting).toBe(2);
    await end();
    expect(await Promise.all([turn, second, other])).toEqual(["boundary, interrupted: false", "two", "other"]);
    expect((await historyOf(service, id)).slice(2)).toEqual(echoed("two", "other"));
  });

  test("merge: turns that differ in their prompts only are one, and everyone has its result, ticket and events", async () => {
    const service = await open();
    const id = await deferred(service);
    const { end } = hold(service, id);
    const tickets: number[] = [];
    const events: string[][] = [[], []];
    const turns = ["a", "b"].map((prompt, at) =>
      service.startTurn(
        id,
        { prompt, onBusy: "merge", onEvent: ({ payload }) => void events[at]?.push(payload.type) },
        { onAdmitted: (ticket) => void tickets.push(ticket) },
      ),
    );
    const alone = start(service, id, "merge", "alone", [], { timeoutMs: 30_000 });
    const stream = service.streamTurn(id, { prompt: "c", onBusy: "merge", timeoutMs: 30_000 });
    expect(service.inspect().turns.waiting).toBe(4);
    await end();
    expect((await Promise.all(turns)).map(({ text }) => text)).toEqual(["a\n\nb", "a\n\nb"]);
    expect(tickets[0]).toBe(tickets[1]);
    expect([await alone, (await stream.result).text]).toEqual(["alone\n\nc", "alone\n\nc"]);
    expect(await stream.ticket).toBeGreaterThan(tickets[0] as number);
    expect((await historyOf(service, id)).slice(2)).toEqual(echoed("a\n\nb", "alone\n\nc"));
  });

  test("merge: every consumer has every event in order, and the agent waits for the slowest", async () => {
    const service = await open();
    const id = await deferred(service);
    const { end } = hold(service, id);
    const seen: number[][] = [[], [], []];
    const emitting = script(["emit", 600]);
    const run = (at: number, slow: boolean): Promise<string> =>
      start(service, id, "merge", at === 0 ? emitting : " ", [], {
        onEvent: ({ seq }) => {
          seen[at]?.push(seq);
          return slow && seq % 100 === 0 ? sleep(5) : undefined;
        },
      });
    const turns = [run(0, false), run(1, true), run(2, false)];
    await end();
    await Promise.all(turns);
    expect(seen[0]).toHaveLength(600);
    expect(seen[1]).toEqual(seen[0]);
    expect(seen[2]).toEqual(seen[0]);
  });

  test("merge: beyond the largest prompt a turn has a place of its own", async () => {
    const service = await open({ maxPromptBytes: 100 });
    const id = await deferred(service);
    const { end } = hold(service, id);
    const turns = ["a".repeat(60), "b".repeat(60), "c".repeat(30)].map((prompt) => start(service, id, "merge", prompt));
    await end();
    const [a, b, c] = await Promise.all(turns);
    expect(a).toBe("a".repeat(60));
    expect([b, c]).toEqual(Array(2).fill(`${"b".repeat(60)}\n\n${"c".repeat(30)}`));
  });

  test("a signal ends the wait with its reason; once admitted it interrupts the turn", async () => {
    const service = await open();
    const id = await deferred(service);
    const { end } = hold(service, id);
    const log: string[] = [];
    const [early, late] = [new AbortController(), new AbortController()];
    const first = start(service, id, "enqueue", "first", log, { signal: early.signal });
    const second = start(service, id, "enqueue", script(["sleep", 60_000]), [], { signal: late.signal });
    early.abort(new Error("changed my mind"));
    await expect(first).rejects.toThrow("changed my mind");
    await end();
    await until("the second runs", () => service.inspect().turns.waiting === 0);
    late.abort();
    expect(await errorOf(second)).toMatchObject({ agentError: { kind: "cancelled" }, details: { reason: "signal" } });
    expect(log).toEqual(["first@1"]);
  });

  test("timeoutMs counts from the admission", async () => {
    const service = await open();
    const id = await deferred(service);
    const { end } = hold(service, id);
    const turn = start(service, id, "enqueue", "x", [], { timeoutMs: 50 });
    await sleep(120);
    expect(service.inspect().turns.waiting).toBe(1);
    await end();
    expect(await turn).toBe("x");
  });

  test("onQueued that throws: the turn leaves the line, and its caller gets what was thrown", async () => {
    const service = await open();
    const id = await deferred(service);
    const { turn, end } = hold(service, id);
    const thrown = new Error("not here");
    const throwing = (at: number) => (position: number) => {
      if (position === at) throw thrown;
    };
    await expect(service.startTurn(id, { prompt: "x", onBusy: "interrupt" }, { onQueued: throwing(1) })).rejects.toBe(thrown);
    const a = start(service, id, "enqueue", "a");
    const b = service.startTurn(id, { prompt: "b", onBusy: "enqueue" }, { onQueued: throwing(1) });
    b.catch(() => {});
    await end();
    await expect(b).rejects.toBe(thrown);
    expect(await Promise.all([turn, a])).toEqual(["boundary, interrupted: false", "a"]); // nobody was interrupted
    expect(service.inspect().turns).toMatchObject({ running: 0, waiting: 0 });
  });

  test("a stream waits too: its ticket comes with its admission, and interrupting it before that ends the wait", async () => {
    const service = await open();
    const id = await deferred(service);
    const { end } = hold(service, id);
    const stream = service.streamTurn(id, { prompt: script(["emit", 3]), onBusy: "enqueue" });
    const stopped = service.streamTurn(id, { prompt: "x", onBusy: "enqueue" });
    const abort = new AbortController();
    const aborted = service.streamTurn(id, { prompt: "x", onBusy: "enqueue" }, { signal: abort.signal });
    let ticket: number | undefined;
    void stream.ticket.then((number) => (ticket = number));
    await stopped.interrupt();
    expect(await errorOf(stopped.result)).toMatchObject({ agentError: { kind: "cancelled" }, details: { reason: "interrupt" } });
    await expect(stopped.ticket).rejects.toMatchObject({ code: "AGENT_ERROR" });
    await expect(stopped.interrupt()).rejects.toMatchObject({ code: "AGENT_ERROR" });
    abort.abort(new Error("gone"));
    await expect(aborted.result).rejects.toThrow("gone");
    expect([ticket, service.inspect().turns.waiting]).toEqual([undefined, 1]);
    await end();
    const events: number[] = [];
    for await (const { seq } of stream) events.push(seq);
    expect(events).toHaveLength(3);
    expect(await stream.ticket).toBe(ticket);
    expect(ticket).toBeGreaterThan(0);
  });

  test("a line is bounded, and one more is refused before anybody is interrupted", async () => {
    const service = await open();
    const id = await deferred(service);
    const { turn, end } = hold(service, id);
    const turns = Array.from({ length: 64 }, (_, i) => start(service, id, "enqueue", `${i}`));
    for (const onBusy of WAITING_MODES) {
      const details = { reason: "busy_line", limit: 64, retryAfterMs: 100 };
      await expect(service.startTurn(id, { prompt: "x", onBusy })).rejects.toMatchObject({ code: "HOST_OVERLOADED", details });
    }
    await end();
    expect(await turn).toBe("boundary, interrupted: false");
    expect(await Promise.all(turns)).toEqual(turns.map((_, i) => `${i}`));
  });

  test("a turn that fails does not stop the line", async () => {
    const service = await open();
    const id = await deferred(service);
    const { end } = hold(service, id);
    const codes = [script(["fail", "x"]), "a", script(["throwValue", null]), "b"].map((prompt) =>
      codeOf(start(service, id, "enqueue", prompt)),
    );
    await end();
    expect(await Promise.all(codes)).toEqual(["AGENT_ERROR", "ok", "AGENT_ERROR", "ok"]);
  });

  test("archive: those that wait are told at once what a call would be told then, and the running turn finishes", async () => {
    const service = await open({});
    const id = await deferred(service);
    const { turn, end } = hold(service, id);
    const turns = WAITING_MODES.filter((mode) => mode !== "interrupt" && mode !== "rollback").map((mode) =>
      codeOf(start(service, id, mode, mode)),
    );
    await end();
    await service.archive(id);
    expect(await Promise.all(turns)).toEqual(turns.map(() => expect.stringMatching(/^(SESSION_NOT_FOUND|ok)$/)));
    expect(await turn).toBe("boundary, interrupted: false");
    expect(service.inspect().turns.waiting).toBe(0);
    const other = await deferred(service);
    const running = service.startTurn(other, { prompt: script(["sleep", 300]) });
    const waiting = codeOf(start(service, other, "enqueue", "x"));
    await service.archive(other);
    expect(await waiting).toBe("SESSION_NOT_FOUND");
    expect(service.inspect().turns).toMatchObject({ running: 1, waiting: 0 });
    expect(await codeOf(running)).toBe("ok");
  });

  test("shutdown: nobody waits any more, and the running turn finishes", async () => {
    const service = await open({});
    const id = await deferred(service);
    const running = service.startTurn(id, { prompt: script(["sleep", 200]) });
    const turns = WAITING_MODES.filter((mode) => mode !== "interrupt" && mode !== "rollback").map((mode) =>
      codeOf(start(service, id, mode, mode)),
    );
    const closed = service.shutdown();
    expect(await Promise.all(turns)).toEqual(turns.map(() => "HOST_CLOSED"));
    expect(service.inspect().turns).toMatchObject({ running: 1, waiting: 0 });
    expect(await codeOf(running)).toBe("ok");
    await closed;
  });

  test("a session that moves: who waits comes first when it has arrived", async () => {
    const service = await open({ lanes: { count: 2 } });
    const id = await deferred(service);
    await service.startTurn(id, { prompt: "before" });
    const { host } = service as unknown as { host: { mover: { move: (...args: unknown[]) => Promise<boolean> }; registry: { find: (id: string) => { lane: unknown } }; pool: Iterable<unknown> } }; // prettier-ignore
    const entry = host.registry.find(id);
    const to = [...host.pool].find((lane) => lane !== entry.lane);
    const moving = host.mover.move(entry, to, "test");
    const log: string[] = [];
    const turns = ["a", "b", "c"].map((prompt) => start(service, id, "enqueue", prompt, log));
    const thief = codeOf(service.startTurn(id, { prompt: "thief" }));
    const front = start(service, id, "interrupt", "front", log);
    expect(await errorOf(turns[0] as Promise<string>)).toMatchObject({ details: { reason: "superseded" } });
    expect(await Promise.all([moving, ...turns.slice(1), front, thief])).toEqual([true, "b", "c", "front", "SESSION_BUSY"]);
    expect(await historyOf(service, id)).toEqual(echoed("before", "front", "b", "c"));
    expect(log.filter((entry) => entry.endsWith("!"))).toEqual(["a!", "front!", "b!", "c!"]);
  });

  test("a multi-agent runtime: its turns may wait as any, and its inputs come when nobody waits", async () => {
    const service = await open(kind === "persistent" ? { runtime: "durable" } : undefined);
    const id = await deferred(service);
    const { end } = hold(service, id);
    const log: string[] = [];
    const a = start(service, id, "enqueue", "a", log);
    const runtimes = service.runtimeAdapter();
    await runtimes?.register(id);
    await runtimes?.attach(id);
    const input = await runtimes?.acceptInput(id, { prompt: "input" });
    const applied = service.applyRuntimeTurn(
      id,
      "run",
      { prompt: "applied", executionKind: "content_turn", onBusy: "enqueue" },
      "run_start",
      ["i"],
      { onQueued: (position) => void log.push(`applied@${position}`) },
    );
    const plain = errorOf(service.applyRuntimeTurn(id, "run", { prompt: "x", executionKind: "content_turn" }, "run_start", []));
    expect(await plain).toMatchObject({ code: "SESSION_BUSY" });
    await end();
    expect((await applied).receipt).toMatchObject({ runId: "run", messageCount: 6 });
    await Promise.all([a, input?.outcome]);
    expect(log.filter((entry) => entry.startsWith("applied"))).toEqual(["applied@2", "applied@1"]);
    expect((await historyOf(service, id)).slice(2)).toEqual(echoed("a", "applied", "input"));
  });

  test("N callers in random modes: each call settles once, one turn at a time, and those who queue keep their order", async () => {
    for (let seed = CRASH_SEED; seed < CRASH_SEED + 3; seed++) {
      const random = randomOf(seed);
      const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
      const service = await open({ lanes: { count: 2 }, maxSessions: kind === "persistent" ? 2 : 10 });
      const ids: string[] = [];
      while (ids.length < 3) ids.push(await deferred(service));
      const admitted = new Map<string, string[]>(ids.map((id) => [id, []]));
      const queued = new Map<string, string[]>(ids.map((id) => [id, []]));
      const calls: Promise<string>[] = [];
      const ended = new Set<string>();
      for (let i = 0; i < 150; i++) {
        const id = pick(ids);
        if (random() < 0.02) calls.push(codeOf(service.interrupt(id)));
        if (random() < 0.01 && ended.size < 1) {
          ended.add(id);
          calls.push(codeOf(random() < 0.5 || kind === "ephemeral" ? service.archive(id) : service.discardLiveSession(id)));
        }
        if (random() < 0.03 && "hibernate" in service) calls.push(codeOf(service.hibernate(id)));
        const onBusy = pick(["reject", "enqueue", "enqueue", "enqueue", "interrupt", "rollback", "latest", "merge"] as const);
        const abort = random() < 0.1 ? new AbortController() : undefined;
        const name = `${onBusy}-${i}`;
        if (onBusy === "enqueue" && abort === undefined) queued.get(id)?.push(name);
        const call = service.startTurn(
          id,
          { prompt: random() < 0.5 || onBusy === "merge" ? name : script(["sleep", Math.floor(random() * 8)], ["say", name]), onBusy },
          { onAdmitted: () => void admitted.get(id)?.push(name), signal: abort?.signal },
        );
        calls.push(codeOf(call));
        if (abort !== undefined) setTimeout(() => abort.abort(new SessionError("HOST_CLOSED", "aborted")), random() * 20);
        if (random() < 0.3) await sleep(random() * 4);
      }
      const codes = await settled(Promise.all(calls), `seed ${seed}`);
      const known = ["ok", "SESSION_BUSY", "AGENT_ERROR", "SESSION_NOT_FOUND", "SESSION_NOT_RUNNING", "HOST_OVERLOADED", "HOST_CLOSED"];
      expect(
        codes.filter((code) => !known.includes(code)),
        `seed ${seed}`,
      ).toEqual([]);
      for (const id of ids) {
        const order = (admitted.get(id) as string[]).filter((name) => queued.get(id)?.includes(name));
        expect(order, `seed ${seed}`).toEqual((queued.get(id) as string[]).filter((name) => order.includes(name)));
        if (!ended.has(id)) {
          expect(order, `seed ${seed}`).toEqual(queued.get(id));
          expect(await codeOf(service.startTurn(id, { prompt: "after" })), `seed ${seed}`).toBe("ok");
        }
      }
      expect(service.inspect().turns, `seed ${seed}`).toMatchObject({ running: 0, waiting: 0 });
      await service.shutdown({ deadlineMs: 0 });
    }
  });
});

describe("ephemeral sessions", () => {
  test("a session that is discarded, or lost with its lane: those that wait are told", async () => {
    const service = await openEphemeral();
    const [dropped, lost] = [await deferred(service), await deferred(service, { isolation: "dedicated" })];
    const running = service.startTurn(dropped, { prompt: script(["sleep", 60_000]) });
    running.catch(() => {});
    const first = codeOf(start(service, dropped, "enqueue", "x"));
    await service.discardLiveSession(dropped);
    expect(await settled(first)).toBe("SESSION_NOT_FOUND");
    const dying = codeOf(service.startTurn(lost, { prompt: script(["sleep", 30], ["exit", 1]) }));
    const turns = ["a", "b"].map((prompt) => start(service, lost, "enqueue", prompt));
    for (const turn of turns) {
      expect(await errorOf(settled(turn))).toMatchObject({ code: "SESSION_NOT_FOUND", details: { reason: "lane_lost" } });
    }
    expect(await dying).toBe("AGENT_ERROR");
    expect(service.inspect().turns.waiting).toBe(0);
  });
});

describe("persistent sessions", () => {
  test("a session whose lane is lost is woken by the first that waits, and the others follow", async () => {
    const service = await openPersistent({ lanes: { count: 1, restartsMax: 100 } });
    const id = await deferred(service);
    await service.startTurn(id, { prompt: "before" });
    const dying = codeOf(service.startTurn(id, { prompt: script(["sleep", 30], ["exit", 1]) }));
    const log: string[] = [];
    const turns = ["a", "b"].map((prompt) => start(service, id, "enqueue", prompt, log));
    expect(await dying).toBe("AGENT_ERROR");
    expect(await settled(Promise.all(turns.map(codeOf)))).toEqual(["ok", "ok"]);
    expect(await historyOf(service, id)).toEqual(echoed("before", "a", "b"));
    expect(log).toEqual(["a@1", "b@2", "a!", "b@1", "b!"]);
  });

  test("a session in quarantine: those that wait are told", async () => {
    const service = await openPersistent({ lanes: { count: 1, restartsMax: 100 } });
    const id = await deferred(service);
    const exits = script(["sleep", 20], ["exit", 1]);
    const turns = [exits, exits, "a", "b"].map((prompt) => codeOf(start(service, id, "enqueue", prompt)));
    expect(await settled(Promise.all(turns))).toEqual(["AGENT_ERROR", "AGENT_ERROR", "SESSION_QUARANTINED", "SESSION_QUARANTINED"]);
  });

  test("a sleeping session is woken; more wait behind its wake-up, and one that interrupts takes its place", async () => {
    const service = await openPersistent();
    const id = await deferred(service);
    await service.startTurn(id, { prompt: "before" });
    await service.hibernate(id);
    const log: string[] = [];
    const turns = ["a", "b"].map((prompt) => start(service, id, "enqueue", prompt, log));
    expect(log).toEqual(["a!", "b@1"]);
    expect(await codeOf(service.hibernate(id))).toBe("SESSION_BUSY");
    expect(await Promise.all(turns)).toEqual(["a", "b"]);
    await service.hibernate(id);
    const first = start(service, id, "enqueue", "first");
    const second = start(service, id, "rollback", "second");
    expect(await errorOf(first)).toMatchObject({ agentError: { kind: "cancelled" }, details: { reason: "superseded" } });
    expect(await second).toBe("second");
    expect(await historyOf(service, id)).toEqual(echoed("before", "a", "b", "second"));
  });

  test("a session that is discarded while its turn runs: those that wait find it in the store when that has ended", async () => {
    const service = await openPersistent();
    const id = await deferred(service);
    const running = start(service, id, "enqueue", script(["sleep", 60], ["say", "kept"]));
    const a = start(service, id, "enqueue", "a");
    await service.discardLiveSession(id);
    const b = start(service, id, "enqueue", "b");
    expect(await Promise.all([running, a, b])).toEqual(["kept", "a", "b"]);
    expect((await historyOf(service, id)).slice(1)).toEqual(["kept", ...echoed("a", "b")]);
  });

  test("Z1: nobody comes in ahead of those that wait for a session that was discarded, not even before main hears that its turn is over", async () => {
    const service = await openPersistent();
    const id = await deferred(service);
    const log: string[] = [];
    const begun = gate();
    const prompt = script(["emit", 1], ["sleep", 60], ["say", "kept"]);
    const running = start(service, id, "enqueue", prompt, [], { onEvent: () => begun.open() });
    const a = start(service, id, "enqueue", "a", log);
    await begun.promise;
    await service.discardLiveSession(id);
    const thieves: Promise<string>[] = [];
    for (const end = Date.now() + 300; Date.now() < end; sleepNow(1)) thieves.push(start(service, id, "reject", "thief", log));
    expect(await Promise.all([running, a])).toEqual(["kept", "a"]);
    await Promise.allSettled(thieves);
    expect(log).toEqual(["a@1", "a!"]);
  });

  test("a snapshot that is taken over, and a create in its place: who waits runs on what came of it", async () => {
    const service = await openPersistent();
    const id = await deferred(service);
    await service.startTurn(id, { prompt: "before" });
    const session = await service.exportSession(id);
    const changed = { ...session, updatedAt: session.updatedAt + 1, metadata: { ...session.metadata, note: 1 } };
    const adopting = service.checkpointCommittedRuntimeSessionSnapshot(id, new TextEncoder().encode(JSON.stringify(changed)));
    await until("its lock is taken", async () => (await service.read(id)).state.isActive);
    const a = start(service, id, "enqueue", "a");
    await adopting;
    expect(await settled(a)).toBe("a");
    await service.hibernate(id);
    const resumeSession = await service.exportSession(id);
    const created = service.createSession({ prompt: "", initialTurn: "defer", build: { resumeSession } });
    const b = start(service, id, "enqueue", "b");
    await created;
    expect(await settled(b)).toBe("b");
    expect(await historyOf(service, id)).toEqual(echoed("before", "a", "b"));
  });
});
