import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import type { Permit } from "../../src/core/admission.ts";
import type { SessionEntry } from "../../src/host/session-entry.ts";
import { TurnObservers } from "../../src/host/turn-observer.ts";
import type { TurnStart } from "../../src/host/turn-table.ts";
import type { SleepingSession } from "../../src/protocol/stored-session.ts";
import { JOINED_MAX, WAKES_MAX, Wakes } from "../../src/host/wakes.ts";
import { SessionError } from "../../src/protocol/errors.ts";
import type { RunResult } from "../../src/protocol/views.ts";

/** A promise and its ends. */
function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void; reject: (error: unknown) => void } {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}

const soon = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const STORED = {} as SleepingSession;
const turn = (rest: Partial<TurnStart> = {}): TurnStart => ({ prompt: "q", ...rest });
const codeOf = (error: unknown): string => (error instanceof SessionError ? error.code : String(error));
const outcomeOf = (call: Promise<RunResult>): Promise<string> => call.then(({ text }) => text, codeOf);

/** A host whose every step waits for the test. */
class Host {
  readonly stored = deferred<SleepingSession>();
  readonly room = deferred<Permit>();
  readonly opened = deferred<SessionEntry>();
  readonly entry = { id: "s" } as SessionEntry;
  leaving: { entry: SessionEntry; isActive: boolean; gone: Promise<void> } | undefined;
  isBehind = false;
  readonly calls: string[] = [];
  released = 0;
  readonly over: string[] = [];
  started: { ticket: number; start: TurnStart }[] = [];
  #onLive: ((entry: SessionEntry) => void) | undefined;
  #tickets = 0;

  readonly observers = new TurnObservers();
  readonly wakes = new Wakes({
    observers: this.observers,
    assertFree: () => {},
    nextTicket: () => ++this.#tickets,
    leaving: () => this.leaving,
    stored: () => {
      this.calls.push("stored");
      return this.stored.promise;
    },
    enter: () => {
      if (this.isBehind) throw new SessionError("HOST_OVERLOADED", "behind");
    },
    room: () => {
      this.calls.push("room");
      return this.room.promise;
    },
    open: (_id, _stored, _permit, onLive) => {
      this.calls.push("open");
      this.#onLive = onLive;
      return this.opened.promise;
    },
    startTurn: async (_entry, ticket, start) => {
      this.started.push({ ticket, start });
      return { text: `turn ${ticket}` } as RunResult;
    },
    onTurnOver: (id) => void this.over.push(id),
  });

  /** Let it go on until it is live. */
  async live(): Promise<void> {
    this.stored.resolve(STORED);
    this.room.resolve({ release: () => this.released++ } as unknown as Permit);
    while (this.#onLive === undefined) await soon();
    this.#onLive(this.entry);
    this.opened.resolve(this.entry);
    await soon();
  }
}

describe("Wakes", () => {
  test("W1: whoever needs a session joins the wake-up that is under way", async () => {
    const host = new Host();
    const entries = [host.wakes.wake("s"), host.wakes.wake("s")];
    const outcome = host.wakes.startTurn("s", turn());
    expect(host.wakes.size).toBe(1);
    await host.live();
    expect(await Promise.all(entries)).toEqual([host.entry, host.entry]);
    expect(await outcomeOf(outcome)).toBe("turn 1");
    expect(host.calls).toEqual(["stored", "room", "open"]);
    expect(host.wakes.size).toBe(0);
  });

  test("W2: a second turn is busy, and the first starts in the moment the session is live", async () => {
    const host = new Host();
    const outcome = host.wakes.startTurn("s", turn());
    expect(() => host.wakes.startTurn("s", turn())).toThrow(SessionError);
    expect(host.wakes.isActive("s")).toBe(true);
    await host.live();
    expect(host.started.map(({ ticket }) => ticket)).toEqual([1]);
    expect(await outcomeOf(outcome)).toBe("turn 1");
    expect(host.wakes.isActive("s")).toBe(false);
  });

  test("W3: a session that leaves is woken when it has left; while its turn runs it is busy; archived it is not found", async () => {
    const host = new Host();
    const gone = deferred<void>();
    host.leaving = { entry: { isArchived: false } as SessionEntry, isActive: true, gone: gone.promise };
    expect(() => host.wakes.startTurn("s", turn())).toThrow(expect.objectContaining({ code: "SESSION_BUSY" }));
    host.leaving = { ...host.leaving, isActive: false };
    const outcome = host.wakes.startTurn("s", turn());
    await soon();
    expect(host.calls).toEqual([]);
    gone.resolve();
    await host.live();
    expect(await outcomeOf(outcome)).toBe("turn 1");
    host.leaving = { entry: { isArchived: true } as SessionEntry, isActive: false, gone: gone.promise };
    expect(() => host.wakes.startTurn("s", turn())).toThrow(expect.objectContaining({ code: "SESSION_NOT_FOUND" }));
  });

  test("W4: an interrupt answers its caller at once, the session becomes live without a turn, and another may wait for it", async () => {
    const host = new Host();
    const first = host.wakes.startTurn("s", turn());
    expect(host.wakes.interrupt("s", "interrupt", 99)).toBe(false); // another's ticket
    expect(host.wakes.interrupt("s", "interrupt")).toBe(true);
    await expect(first).rejects.toMatchObject({ agentError: { kind: "cancelled" }, details: { reason: "interrupt" } });
    expect(host.wakes.interrupt("s", "interrupt")).toBe(false);
    expect(host.over).toEqual(["s"]);
    const second = host.wakes.door("s")?.(turn()) as Promise<RunResult>;
    expect(host.wakes.door("s")).toBeUndefined();
    await host.live();
    expect(await outcomeOf(second)).toBe("turn 2");
    expect(host.started).toHaveLength(1);
    expect(host.over).toEqual(["s"]); // the second began
  });

  test("W6: a host that is behind begins none, and nothing is changed; who joins one is let in", async () => {
    const host = new Host();
    host.isBehind = true;
    for (const call of [() => host.wakes.startTurn("s", turn()), () => host.wakes.wake("s")]) {
      expect(call).toThrow(expect.objectContaining({ code: "HOST_OVERLOADED" }));
    }
    expect([host.wakes.size, host.calls]).toEqual([0, []]);
    host.isBehind = false;
    const first = host.wakes.wake("s");
    host.isBehind = true;
    const second = host.wakes.wake("s");
    const outcome = host.wakes.startTurn("s", turn());
    await host.live();
    expect(await Promise.all([first, second])).toEqual([host.entry, host.entry]);
    expect(await outcomeOf(outcome)).toBe("turn 1"); // the first ticket: none was used up by a refusal
  });

  test("W6: so many wake-ups, and so many callers of one, and no more", async () => {
    const host = new Host();
    const wakes = Array.from({ length: WAKES_MAX }, (_, n) => host.wakes.wake(`s${n}`));
    expect(() => host.wakes.startTurn("one more", turn())).toThrow(
      expect.objectContaining({ details: expect.objectContaining({ reason: "wakes" }) }),
    );
    for (let n = 1; n < JOINED_MAX; n++) wakes.push(host.wakes.wake("s0"));
    expect(() => host.wakes.wake("s0")).toThrow(expect.objectContaining({ details: expect.objectContaining({ reason: "queries" }) }));
    host.stored.reject(new Error("no"));
    const outcomes = await Promise.allSettled(wakes);
    expect(outcomes.every(({ status }) => status === "rejected")).toBe(true);
    expect(host.wakes.size).toBe(0);
    void host.wakes.wake("s0").catch(() => {});
    expect(host.wakes.size).toBe(1);
  });

  describe("what keeps a session from waking is told to all who wait, and it can be tried again", () => {
    test.each(["stored", "room", "opened"] as const)("%s fails", async (step) => {
      const host = new Host();
      const waiting = [host.wakes.wake("s"), host.wakes.startTurn("s", turn())].map((call) => call.then(() => "ok", String));
      const failure = new Error(step);
      if (step !== "stored") host.stored.resolve(STORED);
      if (step === "opened") host.room.resolve({ release: () => host.released++ } as unknown as Permit);
      host[step].reject(failure);
      expect(await Promise.all(waiting)).toEqual([String(failure), String(failure)]);
      expect([host.wakes.size, host.wakes.isActive("s")]).toEqual([0, false]);
      const again = host.wakes.wake("s");
      again.catch(() => {});
      expect(host.wakes.size).toBe(1);
    });
  });

  test("close tells the turns that wait; a permit that comes afterwards is given back, and nothing is opened", async () => {
    const host = new Host();
    const outcome = outcomeOf(host.wakes.startTurn("s", turn()));
    const waking = host.wakes.wake("s").then(() => "ok", codeOf);
    host.stored.resolve(STORED);
    await soon();
    host.wakes.close();
    expect(await outcome).toBe("HOST_CLOSED");
    host.room.resolve({ release: () => host.released++ } as unknown as Permit);
    expect(await waking).toBe("HOST_CLOSED");
    expect([host.released, host.calls]).toEqual([1, ["stored", "room"]]);
  });

  test("onAdmitted learns the ticket before anything else; what it throws is its caller's, and the turn never starts", async () => {
    const host = new Host();
    const tickets: number[] = [];
    const outcome = host.wakes.startTurn("s", turn({ onAdmitted: (ticket) => void tickets.push(ticket) }));
    expect(tickets).toEqual([1]);
    host.wakes.interrupt("s", "interrupt", 1);
    await expect(outcome).rejects.toThrow("cancelled");
    const thrown = new Error("the caller's own");
    const throws = (): never => {
      throw thrown;
    };
    expect(() => host.wakes.startTurn("s", turn({ onAdmitted: throws }))).toThrow(thrown);
    expect(host.wakes.isActive("s")).toBe(false);
    await host.live();
    expect(host.started).toEqual([]);
  });

  test("a caller who interrupts from onAdmitted is answered like any other", async () => {
    const host = new Host();
    const onAdmitted = (ticket: number): void => void host.wakes.interrupt("s", "interrupt", ticket);
    await expect(host.wakes.startTurn("s", turn({ onAdmitted }))).rejects.toMatchObject({ agentError: { kind: "cancelled" } });
  });

  test("the turn's own event consumer ends with it, without a single event", async () => {
    const host = new Host();
    const finished: unknown[] = [];
    const consumer = { finish: (error: unknown) => void finished.push(codeOf(error)) } as unknown as TurnStart["consumer"];
    host.stored.reject(new SessionError("SESSION_NOT_FOUND", "no such session"));
    expect(await outcomeOf(host.wakes.startTurn("s", turn({ consumer })))).toBe("SESSION_NOT_FOUND");
    expect(finished).toEqual(["SESSION_NOT_FOUND"]);
  });

  describe("the wait counts", () => {
    beforeEach(() => {
      vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    });
    afterEach(() => {
      vi.useRealTimers();
    });

    test("W4: a timeout ends it; what is left of one is the turn's", async () => {
      const host = new Host();
      const first = host.wakes.startTurn("s", turn({ timeoutMs: 50 }));
      vi.advanceTimersByTime(50);
      await expect(first).rejects.toMatchObject({ details: { reason: "timeout" } });
      void host.wakes.startTurn("s", turn({ timeoutMs: 50 }));
      vi.advanceTimersByTime(30);
      await host.live();
      expect(host.started[0]?.start.timeoutMs).toBe(20);
      expect(vi.getTimerCount()).toBe(0);
    });

    test("W4: a signal ends it, and is let go of when the turn starts", async () => {
      const host = new Host();
      const controller = new AbortController();
      const first = host.wakes.startTurn("s", turn({ signal: controller.signal }));
      controller.abort();
      await expect(first).rejects.toMatchObject({ details: { reason: "signal" } });
      const next = new AbortController();
      const second = host.wakes.startTurn("s", turn({ signal: next.signal }));
      await host.live();
      next.abort(); // the turn's own business now
      expect(await outcomeOf(second)).toBe("turn 2");
      expect(host.started[0]?.start.signal).toBe(next.signal);
    });
  });
});
