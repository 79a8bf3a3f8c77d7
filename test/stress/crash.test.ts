/**
 * Hosts that die at any moment: what was acknowledged is there afterwards, once and in order, and nothing is half there.
 *
 * CRASH_ROUNDS sets how often the process is killed, CRASH_SEED where the random choices begin; a failure names the seed of its round,
 * and CRASH_SEED with CRASH_ROUNDS=1 makes the choices of that round again, on a store of its own.
 */
import { spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { expect, test } from "vitest";

import type { PersistentSessionService, SessionError } from "../../dist/src/index.js";
import { script, settled, until } from "../helpers/hosts.ts";
import { contents, echoed, persistentHosts } from "../helpers/persistent-hosts.ts";

const ROUNDS = Number(process.env["CRASH_ROUNDS"] ?? 100);
const SEED = Number(process.env["CRASH_SEED"] ?? Date.now() % 1_000_000_000);
/** Rounds over one store: then it has grown, and a new one begins. */
const ROUNDS_A_STORE = 25;
/** Sessions that a round goes on with. */
const SESSIONS = 8;
/** Turns that a child acknowledges before it is killed, at most. */
const TURNS_MAX = 60;
const CHILD = fileURLToPath(new URL("../fixtures/crash-host.mjs", import.meta.url));

const { open, folder, counting } = persistentHosts();

/** From 0 to 1, following from the seed. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 0x1_0000_0000;
}

/** What the child says: see fixtures/crash-host.mjs. */
interface Line {
  readonly id?: string;
  readonly turn?: number;
  readonly messages?: { role: string; content?: unknown }[];
  readonly listed?: string[];
  readonly failed?: string;
}

/** Run the child and kill it when it has acknowledged `count` turns, and `moreMs` later. @returns what it has said */
async function runAndKill(options: object, count: number, moreMs: number): Promise<Line[]> {
  const child = spawn(process.execPath, [CHILD, JSON.stringify(options)], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  let complaint = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (complaint += text));
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const hasWorked = new Promise<void>((resolve) => {
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      said += text;
      if (said.split('"turn"').length > count) resolve();
    });
  });
  try {
    await settled(Promise.race([hasWorked, ended]), "the child");
    await Promise.race([sleep(moreMs), ended]);
  } finally {
    child.kill("SIGKILL");
    await ended;
  }
  // The last line may be half written.
  const lines = said
    .slice(0, said.lastIndexOf("\n") + 1)
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Line);
  const failed = lines.find((line) => line.failed !== undefined)?.failed;
  if (failed !== undefined || complaint !== "") throw new Error(failed ?? complaint);
  return lines;
}

/**
 * The numbers of the whole turns in a transcript. A turn that saved a checkpoint and was cut off has left its prompt and its aside, and
 * nothing else.
 *
 * @throws Error when a turn is half there otherwise, or its answer is another's
 */
function turnsIn(messages: NonNullable<Line["messages"]>): number[] {
  const turns: number[] = [];
  for (let at = 0; at < messages.length;) {
    expect(messages[at]).toMatchObject({ role: "user" });
    const steps = JSON.parse(String(messages[at++]?.content)) as [verb: string, ...args: unknown[]][];
    const number = Number(steps.at(-1)?.[1]);
    if (steps.some(([verb]) => verb === "append")) {
      expect(messages[at++]).toMatchObject({ role: "user", content: `aside ${number}` });
      if (messages[at]?.role !== "assistant") continue;
    }
    expect(messages[at++]).toMatchObject({ role: "assistant", content: String(number) });
    turns.push(number);
  }
  return turns;
}

/** One store, killed over and over, and what must be in it. */
class KilledStore {
  readonly #path = folder();
  /** By session: its last acknowledged turn. */
  readonly #acknowledged = new Map<string, number>();
  /** Sessions that the round before worked on. */
  #touched: string[] = [];
  /** Turns acknowledged so far. */
  total = 0;

  async round(seed: number): Promise<void> {
    const random = randomOf(seed);
    const use = [...this.#acknowledged.keys()].toSorted(() => random() - 0.5).slice(0, SESSIONS);
    const check = [...new Set([...this.#touched, ...use])];
    const durability = random() < 0.5 ? "fsync" : "commit";
    const maxSessions = random() < 0.5 ? 5 : 100;
    const touched = new Set(use);
    for (const line of await runAndKill(
      { path: this.#path, seed, check, use, durability, maxSessions },
      random() * TURNS_MAX,
      random() * 15,
    )) {
      if (line.listed !== undefined) expect(line.listed).toEqual(expect.arrayContaining([...this.#acknowledged.keys()]));
      const { id, turn } = line;
      if (id === undefined) continue;
      if (line.messages !== undefined) this.#check(id, line.messages);
      if (turn === undefined) continue;
      if (turn > 0) expect(turn).toBe((this.#acknowledged.get(id) ?? 0) + 1);
      this.#acknowledged.set(id, turn);
      touched.add(id);
      this.total++;
    }
    this.#touched = [...touched];
  }

  /** What a host finds after all of it. */
  async checkAll(): Promise<void> {
    const service = await open({ store: { kind: "lmdb", path: this.#path }, events: "log" });
    const counts = new Map((await service.list()).map(({ sessionId, messageCount }) => [sessionId, messageCount]));
    for (const id of this.#acknowledged.keys()) {
      const messages = (await service.loadPersisted(id))?.messages ?? [];
      expect(counts.get(id)).toBe(messages.length);
      this.#check(id, messages);
      const next = String(turnsIn(messages).length + 1);
      expect((await service.startTurn(id, { prompt: script(["say", next]) })).text).toBe(next);
    }
    await service.shutdown();
  }

  #check(id: string, messages: NonNullable<Line["messages"]>): void {
    const last = this.#acknowledged.get(id);
    const turns = turnsIn(messages);
    expect(turns, `turns of ${id}`).toEqual(Array.from({ length: turns.length }, (_, i) => i + 1));
    // The one more was saved, and its host died before it could say so.
    if (last !== undefined) expect([last, last + 1], `turns of ${id}, of which ${last} are acknowledged`).toContain(turns.length);
    this.#acknowledged.set(id, turns.length);
  }
}

test(
  `D1, D4: after ${ROUNDS} kills at random moments every acknowledged turn is there, once and in order`,
  { timeout: 900_000 },
  async () => {
    let next = 0;
    let total = 0;
    /** Rounds one after the other, each store for a while. */
    const work = async (): Promise<void> => {
      while (next < ROUNDS) {
        const store = new KilledStore();
        for (let i = 0; i < ROUNDS_A_STORE && next < ROUNDS; i++) {
          const round = next++;
          const seed = SEED + round;
          try {
            await store.round(seed);
          } catch (error) {
            throw new Error(`round ${round} failed; CRASH_SEED=${seed} CRASH_ROUNDS=1 makes its choices again`, { cause: error });
          }
        }
        await store.checkAll();
        total += store.total;
      }
    };
    await Promise.all([work(), work()]);
    expect(total).toBeGreaterThan(ROUNDS); // the children did work
  },
);

test("G6, P1: turns of lanes that die are committed and answered, or neither", async () => {
  const random = randomOf(SEED);
  let [committed, lost] = [0, 0];
  for (let round = 0; round < 5; round++) {
    const service = await open({
      lanes: { count: 2, resourceLimits: { maxOldGenerationSizeMb: 48 } },
      events: "log",
      maxSessions: round % 2 === 0 ? 100 : 6,
    });
    const ids: string[] = [];
    // One after the other: so each finds another that may sleep.
    for (let i = 0; i < 12; i++) ids.push((await service.createSession({ prompt: "", initialTurn: "defer" })).sessionId);
    const expected = new Map<string, string[]>(ids.map((id) => [id, []]));
    let isOver = false;
    const users = ids.map(async (id, user) => {
      for (let turn = 1; !isOver; turn++) {
        const prompt = `${user}.${turn}`;
        const deadly = random() < 0.004 ? (random() < 0.5 ? script(["exit", 1]) : script(["devour"])) : undefined;
        try {
          await service.startTurn(id, { prompt: deadly ?? prompt });
          expected.get(id)?.push(prompt);
          committed++;
        } catch (error) {
          const { code, agentError, details, message } = error as SessionError;
          if (agentError?.kind === "lane_lost") {
            expect(details, `${message}`).toMatchObject({ outcome: "not_committed" });
            lost++;
          } else if (code !== "SESSION_BUSY" && code !== "HOST_OVERLOADED" && details?.["reason"] !== "capacity") throw error;
          await sleep(1);
        }
      }
    });
    const killing = (async () => {
      for (let kill = 0; kill < 3; kill++) {
        await sleep(20 + random() * 60);
        const lanes = lanesOf(service);
        lanes[Math.floor(random() * lanes.length)]?.thread.kill("killed by the test");
      }
      await sleep(60);
      isOver = true;
    })();
    await settled(Promise.all([...users, killing]), `round ${round} of seed ${SEED}`);
    await until("lanes are up", () => lanesOf(service).length > 0);
    for (const [id, prompts] of expected) {
      const { messages } = await service.exportSession(id);
      expect(contents(messages), `session ${ids.indexOf(id)}, round ${round}, seed ${SEED}`).toEqual(echoed(...prompts));
    }
    await service.shutdown({ deadlineMs: 0 });
  }
  expect(committed).toBeGreaterThan(100);
  expect(lost).toBeGreaterThan(0);
});

interface Killable {
  readonly state: string;
  readonly thread: { kill(reason: string): void };
}

/** The lanes that are up. */
function lanesOf(service: PersistentSessionService): Killable[] {
  const { pool } = (service as unknown as { host: { pool: Iterable<Killable> } }).host;
  return [...pool].filter(({ state }) => state === "ready");
}

test("D3: whichever write fails, its caller alone is told, and what was acknowledged stands", async () => {
  const { store, order } = counting();
  const service = await open({ store, events: "log", maxSessions: 2 });
  let unharmed = 0;
  let failAt = 0;
  // Until what is done takes fewer writes than that.
  while (unharmed < 3) {
    order({ failAt: ++failAt });
    const failures: string[] = [];
    const attempt = async <T>(call: () => Promise<T>): Promise<T | undefined> => {
      try {
        return await call();
      } catch (error) {
        failures.push((error as SessionError).code);
        return undefined;
      }
    };
    const expected = new Map<string, string[]>();
    for (let i = 0; i < 3; i++) {
      const made = await attempt(() => service.createSession({ prompt: "", initialTurn: "defer", systemPrompt: "system" }));
      if (made !== undefined) expected.set(made.sessionId, []);
    }
    for (const prompt of ["1", "2", "3"]) {
      for (const [id, prompts] of expected) {
        // With room for two, each session has been put to sleep when its turn comes.
        const done = await attempt(() => service.startTurn(id, { prompt }));
        if (done !== undefined) prompts.push(prompt);
        await attempt(() => service.appendSystemContext(id, { text: `context ${prompt}` }));
        if (prompt === "2") await attempt(() => service.hibernate(id));
      }
    }
    // None, when the session that could not be saved fell asleep for another's sake.
    expect(failures.filter((code) => code !== "SESSION_STORE_ERROR")).toEqual([]);
    expect(failures.length, `write ${failAt}`).toBeLessThanOrEqual(1);
    order({});
    for (const [id, prompts] of expected) {
      expect((await service.startTurn(id, { prompt: "again" })).text).toBe("again");
      expect(contents((await service.exportSession(id)).messages), `write ${failAt}`).toEqual(echoed(...prompts, "again"));
      await service.archive(id);
    }
    await until("nothing is left", () => service.inspect().slots.allocated === 0);
    expect(await service.list()).toEqual([]);
    unharmed = failures.length === 0 ? unharmed + 1 : 0;
  }
  expect(failAt).toBeGreaterThan(25);
});
