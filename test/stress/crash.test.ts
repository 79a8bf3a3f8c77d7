/**
 * A process that is killed at any moment: what it acknowledged is there afterwards, once and in order, and nothing is half there.
 *
 * CRASH_ROUNDS sets how often a process is killed (`npm run test:crash`: 200), CRASH_SEED where the random choices begin. Every store is killed ROUNDS_A_STORE times;
 * a failure names the seed and the count with which the same choices are made again, on one store.
 */
import { spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { expect, test } from "vitest";

import { script } from "../helpers/hosts.ts";
import { persistentHosts } from "../helpers/persistent-hosts.ts";
import { patiently } from "../helpers/patience.ts";
import { CRASH_SEED, randomOf } from "../helpers/seeded.ts";

const ROUNDS = Number(process.env["CRASH_ROUNDS"] ?? 10);
/** Rounds over one store: then it has grown, and a new one begins. */
const ROUNDS_A_STORE = 25;
/** Stores at work side by side: a child spends half of its time starting, on one core. */
const SIDE_BY_SIDE = 3;
/** Sessions that a round goes on with. */
const SESSIONS = 8;
/** Turns that a child acknowledges before it is killed, at most. */
const TURNS_MAX = 60;
/** Milliseconds that a child takes to start, about. */
const START_MS = 1000;
/** Seconds until a child is said to hang: long, for a machine that does other things. */
const CHILD_MAX_S = 60;
const CHILD = fileURLToPath(new URL("../fixtures/crash-host.mjs", import.meta.url));

const { open, folder } = persistentHosts();

/** What the child says: see fixtures/crash-host.mjs. */
interface Line {
  readonly id?: string;
  readonly turn?: number;
  readonly messages?: { role: string; content?: unknown }[];
  readonly events?: [seq: number, text: string][];
  readonly listed?: string[];
  readonly failed?: string;
}

/** Run the child and kill it when it has acknowledged `count` turns, and `moreMs` later. @returns what it has said */
async function runAndKill(options: object, count: number, moreMs: number): Promise<Line[]> {
  const child = spawn(process.execPath, [CHILD, JSON.stringify(options)], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  let complaint = "";
  let acknowledged = 0;
  child.stderr.setEncoding("utf8").on("data", (text: string) => (complaint += text));
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const hasWorked = new Promise<void>((resolve) => {
    if (count < 0) resolve();
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      said += text;
      acknowledged += text.split('"turn"').length - 1;
      if (acknowledged > count) resolve();
    });
  });
  try {
    const describe = (): string => `the child, having said ${acknowledged} turns and last: ${said.slice(-500)},`;
    await patiently(Promise.race([hasWorked, ended]), CHILD_MAX_S, describe);
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
  /** Sessions that were worked on and not looked at since. */
  readonly #touched = new Set<string>();
  /** Turns acknowledged so far. */
  total = 0;

  async round(seed: number): Promise<void> {
    const random = randomOf(seed);
    const use = [...this.#acknowledged.keys()].toSorted(() => random() - 0.5).slice(0, SESSIONS);
    const check = [...new Set([...this.#touched, ...use])];
    for (const id of use) this.#touched.add(id);
    const durability = random() < 0.5 ? "fsync" : "commit";
    const maxSessions = random() < 0.5 ? 5 : 100;
    // One time in eight at any moment of its start.
    const count = random() < 0.125 ? -1 : random() * TURNS_MAX;
    const moreMs = random() * (count < 0 ? START_MS : 15);
    for (const line of await runAndKill({ path: this.#path, seed, check, use, durability, maxSessions }, count, moreMs)) {
      if (line.listed !== undefined) expect(line.listed).toEqual(expect.arrayContaining([...this.#acknowledged.keys()]));
      const { id, turn } = line;
      if (id === undefined) continue;
      if (line.messages !== undefined) {
        this.#check(id, line.messages, line.events);
        if (!use.includes(id)) this.#touched.delete(id);
      }
      if (turn === undefined) continue;
      if (turn > 0) expect(turn).toBe((this.#acknowledged.get(id) ?? 0) + 1);
      this.#acknowledged.set(id, turn);
      this.#touched.add(id);
      this.total++;
    }
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

  /** @param events - what its turns have emitted; undefined: not looked at */
  #check(id: string, messages: NonNullable<Line["messages"]>, events?: Line["events"]): void {
    const last = this.#acknowledged.get(id);
    const turns = turnsIn(messages);
    expect(turns, `turns of ${id}`).toEqual(Array.from({ length: turns.length }, (_, i) => i + 1));
    // The one more was saved, and its host died before it could say so.
    if (last !== undefined) expect([last, last + 1], `turns of ${id}, of which ${last} are acknowledged`).toContain(turns.length);
    if (events !== undefined) {
      // Logged in the turn's own write: all of it, and nothing of a turn that was cut off.
      const emitted = turns.flatMap((turn) => Array.from({ length: turn % 4 }, (_, i) => String(i)));
      expect(
        events.map(([, text]) => text),
        `events of ${id}`,
      ).toEqual(emitted);
      const seqs = events.map(([seq]) => seq);
      expect(seqs, `numbers of the events of ${id}`).toEqual([...new Set(seqs)].toSorted((a, b) => a - b));
    }
    this.#acknowledged.set(id, turns.length);
  }
}

test(
  `D1, D4: after ${ROUNDS} kills at random moments every acknowledged turn is there, once and in order (seed ${CRASH_SEED})`,
  { timeout: 900_000 },
  async () => {
    const stores = Array.from({ length: Math.ceil(ROUNDS / ROUNDS_A_STORE) }, (_, number) => number * ROUNDS_A_STORE);
    let total = 0;
    /** Stores one after the other, each for its rounds. */
    const work = async (): Promise<void> => {
      for (let first; (first = stores.shift()) !== undefined;) {
        const store = new KilledStore();
        const rounds = Math.min(ROUNDS_A_STORE, ROUNDS - first);
        for (let i = 0; i < rounds; i++) {
          await named(
            store.round(CRASH_SEED + first + i),
            `round ${first + i} failed; CRASH_SEED=${CRASH_SEED + first} CRASH_ROUNDS=${i + 1}`,
          );
        }
        await named(store.checkAll(), `what is left after CRASH_SEED=${CRASH_SEED + first} CRASH_ROUNDS=${rounds}`);
        total += store.total;
      }
    };
    await Promise.all(Array.from({ length: SIDE_BY_SIDE }, work));
    expect(total).toBeGreaterThan(ROUNDS); // the children did work
  },
);

/** Rejects as `work` does, saying how to do the same again. */
async function named(work: Promise<void>, how: string): Promise<void> {
  try {
    await work;
  } catch (error) {
    throw new Error(`${how} makes the same choices again: ${String(error)}`, { cause: error });
  }
}
