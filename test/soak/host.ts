/** One host under load: its sessions and what they were told, the users, and the faults. */
import { setTimeout as sleep } from "node:timers/promises";

import type { PersistentSessionService, RunResult, SessionError, SessionService, StartTurnRequest } from "../../src/index.ts";
import type { SoakPrompt } from "./agent.ts";
import { SoakFailure, Tally, fateOf, settles, wordOf } from "./calls.ts";
import { SoakSession } from "./model.ts";
import { below, weighted } from "./random.ts";
import type { Random } from "./random.ts";

/** Turns after which a session is checked, archived and replaced: neither transcripts nor what is remembered of them grow for ever. */
const TURNS_MAX = 12;
/** What users do, and how often. */
const ACTIONS = {
  answer: 30,
  emit: 15,
  slowConsumer: 2,
  subscriber: 5,
  stream: 3,
  poll: 4,
  interrupt: 5,
  ignore: 0.3,
  timeout: 2,
  abort: 3,
  abortBefore: 1,
  fail: 3,
  flood: 1,
  stray: 1,
  checkpoint: 3,
  context: 3,
  read: 5,
  list: 2,
  history: 3,
  exported: 3,
  archive: 1,
  hibernate: 3,
} as const;
/** How a lane is brought down, and how often. */
const DEATHS = { exit: 4, exitLater: 2, block: 2, devour: 2, kill: 3 } as const;

export interface SoakHostParts {
  readonly name: "ephemeral" | "persistent";
  readonly service: SessionService;
  readonly random: Random;
  /** Lets the run end early, with what broke. */
  readonly onFailure: (failure: unknown) => void;
}

export class SoakHost {
  readonly name: SoakHostParts["name"];
  readonly service: SessionService;
  readonly tally = new Tally();
  readonly #random: Random;
  readonly #onFailure: (failure: unknown) => void;
  readonly #sessions: SoakSession[] = [];
  #turns = 0;
  /** Brought a lane down last. */
  #culprit: SoakSession | undefined;
  #isOver = false;

  constructor({ name, service, random, onFailure }: SoakHostParts) {
    this.name = name;
    this.service = service;
    this.#random = random;
    this.#onFailure = onFailure;
  }

  /** Make sessions until there are so many. */
  async fill(count: number): Promise<void> {
    const makers = Array.from({ length: 64 }, async () => {
      while (this.#sessions.length < count && !this.#isOver) if (!(await this.#create())) await sleep(20);
    });
    await Promise.all(makers);
  }

  /** Users who work, and lanes that die, until `end`. @param deathEveryMs - on average */
  async run(users: number, deathEveryMs: number, end: Promise<void>): Promise<void> {
    void end.then(() => (this.#isOver = true));
    const count = this.#sessions.length;
    const guarded = async (work: () => Promise<void>): Promise<void> => {
      try {
        while (!this.#isOver) await work();
      } catch (failure) {
        this.#isOver = true;
        this.#onFailure(failure);
      }
    };
    const loops = Array.from({ length: users }, () => guarded(() => this.#act()));
    const dying = guarded(async () => {
      await Promise.race([sleep(2 * this.#random() * deathEveryMs), end]);
      if (!this.#isOver) await this.#bringDownALane();
      if (!this.#isOver && this.name === "ephemeral") await this.#takeCensus(count);
    });
    await Promise.all([...loops, dying]);
  }

  /** Every session's transcript is what it must be; then all are archived. @returns how many were looked at */
  async settleAccounts(): Promise<number> {
    let looked = 0;
    const clerks = Array.from({ length: 32 }, async () => {
      for (let session = this.#sessions.pop(); session !== undefined; session = this.#sessions.pop()) {
        if (await this.#check(session)) looked++;
        await this.#archive(session);
      }
    });
    await Promise.all(clerks);
    // Of a create that failed when it was done, nobody knows: it is there all the same.
    for (;;) {
      const left = await this.service.list({ limit: 500 });
      if (left.length === 0) return looked;
      for (const { sessionId } of left) await this.#archive(new SoakSession(sessionId));
    }
  }

  /** Sessions that went with a lane are replaced. */
  async #takeCensus(count: number): Promise<void> {
    const live = new Set<string>();
    for (let after: string | undefined; ;) {
      const page = await settles(this.service.list({ limit: 1000, ...(after !== undefined && { after }) }), "list");
      for (const { sessionId } of page) live.add(sessionId);
      after = page.at(-1)?.sessionId;
      if (after === undefined) break;
    }
    for (const session of this.#sessions.filter(({ isBusy }) => !isBusy)) {
      // One that was made meanwhile is not gone: the next census sees it.
      if (live.has(session.id) || session.isBusy) continue;
      session.isBusy = true;
      if (!(await this.#check(session))) this.#sessions.splice(this.#sessions.indexOf(session), 1);
      session.isBusy = false;
    }
    await this.fill(count);
  }

  // ── sessions ──

  async #create(): Promise<boolean> {
    const made = await this.#attempt("create", () => this.service.createSession({ prompt: "", initialTurn: "defer" }));
    if (made !== undefined) this.#sessions.push(new SoakSession(made.sessionId));
    return made !== undefined;
  }

  /** @returns a session nobody else works with */
  #take(): SoakSession | undefined {
    for (let tries = 0; tries < 20; tries++) {
      const session = this.#sessions[below(this.#random, this.#sessions.length)];
      if (session === undefined || session.isBusy) continue;
      session.isBusy = true;
      return session;
    }
    return undefined;
  }

  async #replace(session: SoakSession): Promise<void> {
    const at = this.#sessions.indexOf(session);
    if (at >= 0) this.#sessions.splice(at, 1);
    while (!this.#isOver && !(await this.#create())) await sleep(50);
  }

  /** @returns whether it was there to look at */
  async #check(session: SoakSession): Promise<boolean> {
    const page = await this.#patiently("history", () => this.service.readHistory(session.id), session);
    if (page === undefined) return false;
    this.tally.add("transcripts checked");
    const problem = session.problemWith(page.messages);
    if (problem !== undefined) throw new SoakFailure(`${this.name}: session ${session.id}: ${problem}`);
    return true;
  }

  /** A session is never gone but with its lane, and with a store never. */
  #mayBeGone(error: unknown, session: SoakSession): void {
    const isLost = (error as SessionError).details?.["reason"] === "lane_lost";
    if (this.name === "persistent" || !isLost) throw new SoakFailure(`${this.name}: session ${session.id} is gone: ${String(error)}`);
    session.hasLeft = true;
  }

  async #archive({ id }: SoakSession): Promise<void> {
    await this.#patiently("archive", () => this.service.archive(id));
  }

  /** @returns undefined when the session is not there any more */
  async #patiently<T>(what: string, call: () => Promise<T>, session?: SoakSession): Promise<T | undefined> {
    for (let tries = 0; tries < 200; tries++) {
      try {
        return await settles(call(), `${this.name}: ${what}`);
      } catch (error) {
        const word = wordOf(error, `${this.name}: ${what}`);
        this.tally.add(`${what}: ${word}`);
        if (word === "SESSION_NOT_FOUND") {
          if (session !== undefined) this.#mayBeGone(error, session);
          return undefined;
        }
        await sleep(20);
      }
    }
    throw new SoakFailure(`${this.name}: ${what} fails again and again`);
  }

  // ── what users do ──

  async #act(): Promise<void> {
    const session = this.#take();
    if (session === undefined) {
      await sleep(1);
      return;
    }
    const action = weighted(this.#random, ACTIONS);
    await this.#perform(session, action);
    if (session.hasLeft || session.turns.length > TURNS_MAX) {
      if (!session.hasLeft) {
        await this.#check(session);
        await this.#archive(session);
      }
      await this.#replace(session);
    }
    session.isBusy = false;
  }

  // oxlint-disable-next-line complexity -- one line an action
  async #perform(session: SoakSession, action: keyof typeof ACTIONS): Promise<void> {
    const { service } = this;
    const { id } = session;
    switch (action) {
      case "answer":
      case "fail":
      case "flood":
      case "stray":
      case "checkpoint":
        return this.#turn(session, { does: action }, action === "flood" ? { onEvent: () => {} } : {});
      case "emit":
        return this.#turn(session, { does: "emit", count: below(this.#random, 50) }, { onEvent: () => this.tally.add("events") });
      case "slowConsumer":
        return this.#turn(session, { does: "emit", count: 20 }, { onEvent: () => sleep(5) });
      case "subscriber":
        return this.#withSubscriber(session);
      case "stream":
        return this.#stream(session);
      case "poll":
        return this.#turn(session, { does: "poll", count: 3 });
      case "interrupt":
      case "ignore":
        return this.#interrupted(session, action === "ignore" ? "ignore" : "sleep");
      case "timeout":
        return this.#turn(session, { does: "sleep", count: 1000 }, { timeoutMs: 1 + below(this.#random, 20) });
      case "abort":
      case "abortBefore":
        return this.#aborted(session, action === "abortBefore");
      case "context":
        await this.#attempt("context", () => service.appendSystemContext(id, { text: "a note" }), session);
        return;
      case "read":
        await this.#attempt("read", () => service.read(id), session);
        return;
      case "list":
        await this.#attempt("list", () => service.list({ limit: 50 }));
        return;
      case "history":
        await this.#check(session);
        return;
      case "exported":
        await this.#attempt("export", () => service.exportSession(id), session);
        return;
      case "archive":
        await this.#check(session);
        await this.#archive(session);
        session.hasLeft = true;
        return;
      case "hibernate":
        if (this.name === "persistent")
          await this.#attempt("hibernate", () => (service as PersistentSessionService).hibernate(id), session);
        return;
      default:
        action satisfies never;
    }
  }

  /** Run a turn, and write down what was told. */
  async #turn(
    session: SoakSession,
    what: Omit<SoakPrompt, "id">,
    how: Partial<StartTurnRequest> = {},
    signal?: AbortSignal,
  ): Promise<void> {
    const answer = `${this.name} ${++this.#turns}`;
    const prompt = JSON.stringify({ id: answer, ...what } satisfies SoakPrompt);
    const start = (): Promise<RunResult> => this.service.startTurn(session.id, { prompt, ...how }, signal && { signal });
    return this.#account(session, what.does, prompt, answer, start);
  }

  async #account(session: SoakSession, does: string, prompt: string, answer: string, start: () => Promise<RunResult>): Promise<void> {
    const what = `${this.name}: a turn that does ${does}`;
    try {
      const { text } = await settles(start(), what);
      if (text !== answer) throw new SoakFailure(`${what} was answered with ${JSON.stringify(text)}, not ${answer}`);
      session.turns.push({ prompt, answer, fate: "done" });
      this.tally.add("turns done");
    } catch (error) {
      if (error instanceof SoakFailure) throw error;
      if (error === ABORTED) {
        this.tally.add("turns: aborted before they began");
        return;
      }
      const word = wordOf(error, what);
      session.turns.push({ prompt, answer, fate: fateOf(error) });
      this.tally.add(`turns: ${word}`);
      await this.#afterFailure(session, word, error);
    }
  }

  async #afterFailure(session: SoakSession, word: string, error: unknown): Promise<void> {
    if (word === "SESSION_NOT_FOUND") this.#mayBeGone(error, session);
    else if (word === "lane_lost" && this.name === "ephemeral") session.hasLeft = true;
    else if (word === "SESSION_QUARANTINED") {
      await this.#patiently("release", () => this.service.releaseQuarantine(session.id));
      this.tally.add("sessions released from quarantine");
    } else if (word === "HOST_OVERLOADED" || word === "capacity") await sleep(20);
  }

  /** @returns undefined when it failed as it may */
  async #attempt<T>(what: string, call: () => Promise<T>, session?: SoakSession): Promise<T | undefined> {
    try {
      const answer = await settles(call(), `${this.name}: ${what}`);
      this.tally.add(`${what} ok`);
      return answer;
    } catch (error) {
      const word = wordOf(error, `${this.name}: ${what}`);
      this.tally.add(`${what}: ${word}`);
      if (session !== undefined) await this.#afterFailure(session, word, error);
      else if (word === "HOST_OVERLOADED") await sleep(20);
      return undefined;
    }
  }

  async #withSubscriber(session: SoakSession): Promise<void> {
    let stream: ReturnType<SessionService["subscribeSessionEvents"]>;
    try {
      stream = this.service.subscribeSessionEvents(session.id, { bufferSize: 8 });
    } catch {
      return; // gone with its lane: the next turn is told so
    }
    const reading = (async () => {
      for await (const _ of stream) {
        this.tally.add("events of subscribers");
        await sleep(1);
      }
    })().catch(() => this.tally.add("streams that ended with an error"));
    await this.#turn(session, { does: "emit", count: 30 });
    await stream.return?.();
    await settles(reading, `${this.name}: the end of a subscriber's stream`);
  }

  async #stream(session: SoakSession): Promise<void> {
    const answer = `${this.name} ${++this.#turns}`;
    const prompt = JSON.stringify({ id: answer, does: "emit", count: 20 } satisfies SoakPrompt);
    const leaveAt = below(this.#random, 30);
    await this.#account(session, "a stream", prompt, answer, async () => {
      const turn = this.service.streamTurn(session.id, { prompt });
      turn.ticket.catch(() => {}); // the result says the same
      turn.result.catch(() => {});
      let read = 0;
      for await (const _ of turn) if (++read > leaveAt) break;
      return turn.result;
    });
  }

  async #interrupted(session: SoakSession, does: "sleep" | "ignore"): Promise<void> {
    const turn = this.#turn(session, { does, count: 1000 });
    await sleep(this.#random() * 10);
    await this.#attempt("interrupt", () => this.service.interrupt(session.id));
    await turn;
  }

  async #aborted(session: SoakSession, isBefore: boolean): Promise<void> {
    const controller = new AbortController();
    if (isBefore) controller.abort(ABORTED);
    const turn = this.#turn(session, { does: "sleep", count: 1000 }, {}, controller.signal);
    await sleep(this.#random() * 10);
    controller.abort(ABORTED);
    await turn;
  }

  // ── faults ──

  async #bringDownALane(): Promise<void> {
    const death = weighted(this.#random, DEATHS);
    this.tally.add(`fault: ${death}`);
    if (death === "kill") {
      this.#kill();
      return;
    }
    const session = this.#takeCulprit();
    if (session === undefined) return;
    if (death === "block") await this.#block(session);
    else await this.#turn(session, { does: death });
    if (session.hasLeft) await this.#replace(session);
    session.isBusy = false;
  }

  /** Now and then the one that did it last: twice is quarantine. */
  #takeCulprit(): SoakSession | undefined {
    const last = this.#culprit;
    const isAgain = last !== undefined && !last.isBusy && this.#sessions.includes(last) && this.#random() < 0.4;
    if (isAgain) last.isBusy = true;
    return (this.#culprit = isAgain ? last : this.#take());
  }

  async #block(session: SoakSession): Promise<void> {
    let start: () => void = () => {};
    const started = new Promise<void>((resolve) => (start = resolve));
    const turn = this.#turn(session, { does: "block" }, { onEvent: () => start() });
    await Promise.race([started, turn]);
    await this.#attempt("interrupt", () => this.service.interrupt(session.id));
    await turn;
  }

  /** End a lane from outside, in the middle of whatever it does. */
  #kill(): void {
    const { pool } = (this.service as unknown as { host: { pool: Iterable<{ state: string; thread: { kill(): void } }> } }).host;
    const lanes = [...pool].filter(({ state }) => state === "ready");
    lanes[below(this.#random, lanes.length)]?.thread.kill();
  }
}

/** Why signals of the soak abort. */
const ABORTED = new Error("aborted by the soak");
