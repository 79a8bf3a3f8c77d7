/**
 * One fault in one host, and what everybody saw of it. Two shared lanes: in the first the faulty session and its neighbour, in the second
 * two others, one of which works all the time.
 *
 * What must hold whatever the fault is, is checked here, in every run:
 *
 *   F1. The caller's call settles, and so does every other.
 *   F2. Sessions in other lanes see nothing of it: right answers, right transcripts, no error.
 *   F3. Nobody gets a wrong answer, in the same lane neither.
 *   F4. Afterwards the host makes and runs a new session; nothing runs or waits; with its sessions archived it holds no slot, no capacity and no subscriber.
 *   F5. `shutdown` ends within its bound, and what main's own globals were, they are.
 */
import { expect } from "vitest";

import type { PersistentSessionService, SessionService } from "../../dist/src/index.js";
import { deferred, sleep, until } from "../helpers/hosts.ts";
import { contents } from "../helpers/persistent-hosts.ts";
import { HANGS, attempt, bounded } from "./attempt.ts";
import { Bystander } from "./bystanders.ts";
import type { Act, Fault, HostKind, Observation } from "./fault.ts";
import { giveHost, takeHost } from "./open-hosts.ts";

/** Milliseconds after which a call that has not settled is said to wait: for an interrupt, or for ever. */
const WAITS_MS = 150;

/** Run the fault once. @throws where one of F1 to F5 does not hold */
export async function observe(fault: Fault, kind: HostKind): Promise<Observation> {
  const service = await takeHost(kind, fault);
  const globals = globalsOfMain();
  let seen: Observation | undefined;
  try {
    seen = await new Run(service, fault, kind).go();
  } finally {
    await giveHost(service, kind, fault, seen !== undefined);
  }
  expect(globalsOfMain(), "F5: globals").toEqual(globals);
  for (const [who, cell] of Object.entries(seen)) {
    expect(cell, `F1: ${who}`).not.toContain(HANGS);
    expect(cell, `F3: ${who}`).not.toContain("WRONG");
    expect(cell, `F1: ${who}`).not.toContain("NOT A SESSION ERROR");
  }
  expect(seen.otherLanes, "F2").toBe("unharmed");
  return seen;
}

/** What an agent in another thread must not reach. */
function globalsOfMain(): unknown[] {
  const owners = [Object, Object.prototype, Array.prototype, Promise, Promise.prototype, Map.prototype, JSON, Atomics, Date, process.env];
  return owners.map((owner) => Object.getOwnPropertyNames(owner).join());
}

class Run {
  readonly #service: SessionService;
  readonly #fault: Fault;
  readonly #kind: HostKind;
  /** Of the host, before. */
  readonly #lostBefore: number;
  readonly #straysBefore: ReadonlyMap<number | undefined, number>;
  /** The faulty session. */
  #victim = "";

  constructor(service: SessionService, fault: Fault, kind: HostKind) {
    this.#service = service;
    this.#fault = fault;
    this.#kind = kind;
    const { lanesLost, lanes } = service.inspect();
    this.#lostBefore = lanesLost;
    this.#straysBefore = new Map(lanes.map(({ threadId, strayErrors }) => [threadId, strayErrors]));
  }

  get #lost(): number {
    return this.#service.inspect().lanesLost - this.#lostBefore;
  }

  /** Whether lanes that are up have counted stray errors. */
  get #hasStrays(): boolean {
    return this.#service.inspect().lanes.some(({ threadId, strayErrors }) => strayErrors > (this.#straysBefore.get(threadId) ?? 0));
  }

  async go(): Promise<Observation> {
    const service = this.#service;
    // What the fault before took is there again: sessions are placed in lanes that are up.
    await until("both lanes are up", () => service.inspect().lanes.filter(({ state }) => state === "ready").length === 2);
    const [neighbour, other] = [await Bystander.join(service), await Bystander.join(service)];
    const worker = await this.#prepare();
    const places = await Promise.all([neighbour.where(), other.where(), worker.where()]);
    expect([new Set(places).size, places[2]], "the sessions' threads").toEqual([2, places[1]]);
    await Promise.all([neighbour.hold(), other.hold()]);
    const stop = worker.pulse();
    const first = this.#fault.again ? [await this.#commit()] : [];
    if (this.#fault.again) await this.#aftermath();
    const caller = [...first, await this.#commit()].join("; then ");
    await this.#aftermath();
    const worked = await stop();
    const isKept = this.#kind === "persistent";
    const [neighbours, others] = [await neighbour.account(isKept), await other.account(isKept)];
    const session = await this.#session();
    await this.#idle();
    return {
      caller,
      session,
      neighbours: this.#fault.dedicated ? "none: the lane is its own" : neighbours,
      otherLanes: worked !== "ok" ? worked : this.#fault.dedicated && neighbours !== "unharmed" ? neighbours : others,
      host: this.#host(),
    };
  }

  // ── the fault ──

  /** The faulty session as it is before, in the first lane. @returns one more session in the second */
  async #prepare(): Promise<Bystander> {
    const { does, dedicated } = this.#fault;
    const service = this.#service;
    if ("create" in does || dedicated) {
      // A session is placed where there are fewest: one that leaves makes room in the first lane.
      const seat = await deferred(service);
      const worker = await Bystander.join(service);
      await service.discardLiveSession(seat);
      if ("create" in does) return worker;
      this.#victim = await this.#begun(does);
      return worker;
    }
    this.#victim = await this.#begun(does);
    const worker = await Bystander.join(service);
    if ("wake" in does) await (service as PersistentSessionService).hibernate(this.#victim);
    return worker;
  }

  /** @returns the faulty session, with a good turn behind it */
  async #begun(does: Act): Promise<string> {
    const build = "turn" in does ? {} : { build: { fault: faultOf(does) } };
    const id = await deferred(this.#service, { ...build, ...(this.#fault.dedicated && { isolation: "dedicated" }) });
    await this.#service.startTurn(id, { prompt: "before" });
    return id;
  }

  /** @returns what its caller saw */
  async #commit(): Promise<string> {
    const { does, interrupted } = this.#fault;
    if ("archive" in does) return attempt(this.#service.archive(this.#victim), () => "archived");
    const started = new Promise<void>((resolve) => (this.#onStarted = resolve));
    let isSettled = false;
    const call = this.#call(does).finally(() => (isSettled = true));
    const words = call.then((text) => this.#answerWords(text));
    words.catch(() => {}); // looked at below
    if (interrupted === undefined) {
      const told = await attempt(words, (text) => text);
      if (told !== HANGS || this.#victim === "") return told;
      await this.#service.interrupt(this.#victim).catch(() => {}); // so that the rest of the run can be seen
      return `${HANGS} by itself; interrupted: ${await attempt(words, (text) => text)}`;
    }
    if (interrupted === "once it runs") await Promise.race([started, words.catch(() => {})]);
    await sleep(WAITS_MS);
    const waits = isSettled ? "" : "waits; interrupted: ";
    if (!isSettled) await this.#service.interrupt(this.#victim).catch(() => {}); // what is looked at is the turn
    return `${waits}${await attempt(words, (text) => text)}`;
  }
  #onStarted: () => void = () => {};

  #call(does: Exclude<Act, { archive: string }>): Promise<string> {
    const { listens, interrupted, dedicated } = this.#fault;
    const onEvent = (): void => this.#onStarted();
    const listener = listens === true || interrupted === "once it runs" ? { onEvent } : {};
    if ("create" in does) {
      const request = { prompt: "first", build: { fault: does.create }, ...(dedicated && { isolation: "dedicated" as const }) };
      return this.#service.createSession(request).then(
        ({ text, sessionId }) => {
          this.#victim = sessionId;
          return text;
        },
        (error: { sessionId?: string }) => {
          this.#victim = error.sessionId ?? "";
          throw error;
        },
      );
    }
    const prompt = "turn" in does ? `!${does.turn}` : "again";
    return this.#service.startTurn(this.#victim, { prompt, ...listener }).then(({ text }) => text);
  }

  #answerWords(text: string): string {
    return text.length > 60 ? `a result of ${text.length.toLocaleString("en")} characters` : `its result: “${text}”`;
  }

  /** What comes behind the call. */
  async #aftermath(): Promise<void> {
    const { later, does } = this.#fault;
    const { lanes } = this.#service.inspect();
    if (later === "a lane is lost") await until("a lane is lost", () => this.#lost > 0);
    else if (later === "a stray error") await until("a stray error is counted", () => this.#hasStrays);
    else if (later === "a stall")
      await until("a lane stands still", () => this.#service.inspect().lanes.some(({ heartbeatAgeMs = 0 }) => heartbeatAgeMs > 500));
    else if ("archive" in does) await sleep(WAITS_MS);
    if (this.#lost > 0) await until("the lane is replaced", () => this.#areLanesReady(lanes.length));
  }

  #areLanesReady(most: number): boolean {
    const { lanes } = this.#service.inspect();
    return lanes.filter(({ kind, state }) => kind === "shared" && state === "ready").length === Math.min(most, 2);
  }

  // ── what is left ──

  /** @returns what can be done with the session afterwards */
  async #session(): Promise<string> {
    if (this.#victim === "") return "never made";
    if ("archive" in this.#fault.does) return "archived";
    const next = await this.#afterwards();
    if (next !== "`SESSION_QUARANTINED`") return next;
    await this.#service.releaseQuarantine(this.#victim);
    return `in quarantine (${next}); released: ${await this.#afterwards()}`;
  }

  async #afterwards(): Promise<string> {
    const { does } = this.#fault;
    const next = await attempt(this.#service.startTurn(this.#victim, { prompt: "afterwards" }), ({ text }) =>
      text === "afterwards" ? "ok" : `WRONG ANSWER: ${text.slice(0, 100)}`,
    );
    if (next !== "ok") return next.startsWith("`SESSION_NOT_FOUND`") ? `gone: ${next}` : next;
    const exported = this.#service.exportSession(this.#victim).then((session) => contents(session.messages));
    const messages = await bounded(exported, () => {}, [HANGS]);
    // A session that was begun well begins with that turn; of one that is built here nothing is left that could stand before.
    const begun = "create" in does ? [] : ["before", "before"];
    const rest = messages.slice(begun.length);
    const isRight = begun.every((content, at) => messages[at] === content) && rest.slice(-2).join() === "afterwards,afterwards";
    if (!isRight) return `WRONG TRANSCRIPT: ${JSON.stringify(messages).slice(0, 100)}`;
    return rest.length === 2 ? "usable, from the boundary before" : "usable, with the turn";
  }

  /** F4 */
  async #idle(): Promise<void> {
    const service = this.#service;
    const made = await attempt(service.createSession({ prompt: "later" }), ({ text }) => text);
    expect(made, "F4: a new session").toBe("later");
    expect(service.inspect().turns.running, "F4: running turns").toBe(0);
    for (const { sessionId } of await service.list()) await service.archive(sessionId);
    const held = (): object => {
      const { slots, sessions, turns, subscribers, lanes } = service.inspect();
      const perLane = lanes.map(({ sessions: placed, runningTurns }) => placed + runningTurns);
      return { slots: slots.allocated, live: sessions.live, building: sessions.building, running: turns.running, subscribers, perLane };
    };
    const nothing = { slots: 0, live: 0, building: 0, running: 0, subscribers: 0 };
    await until("nothing is held", () => service.inspect().slots.allocated === 0);
    expect(held(), "F4").toMatchObject(nothing);
  }

  #host(): string {
    const lost = this.#lost;
    const cells = [
      lost === 0
        ? "no lane lost"
        : `${lost === 1 ? "the lane is" : `${lost} lanes are`} lost${this.#fault.dedicated ? "" : " and replaced"}`,
      this.#hasStrays && !this.#fault.mayStray ? "stray errors counted" : "",
    ];
    return cells.filter((cell) => cell !== "").join("; ");
  }
}

function faultOf(act: Act): string {
  return Object.values(act)[0] as string;
}
