/**
 * Lanes that die at any moment, killed from outside, by process.exit in an agent, or because their heap is full: what was acknowledged is
 * there, what was not committed is told so, and sessions go on. CRASH_LANES sets how often (`npm run test:crash`: 200), CRASH_SEED where the random choices begin.
 */
import { setTimeout as sleep } from "node:timers/promises";

import { expect, test } from "vitest";

import type { PersistentSessionService, SessionError, StoreOptions } from "../../dist/src/index.js";
import { script, settled, until } from "../helpers/hosts.ts";
import { contents, echoed, persistentHosts } from "../helpers/persistent-hosts.ts";
import { patiently } from "../helpers/patience.ts";
import { CRASH_SEED, randomOf } from "../helpers/seeded.ts";

/** Lanes that die. */
const DEATHS = Number(process.env["CRASH_LANES"] ?? 25);
/** In one host: it replaces ten lanes a minute. */
const DEATHS_A_HOST = 9;
const SESSIONS = 12;
/** Seconds until a host is said to hang. */
const ROUND_MAX_S = 60;
/** Errors that a caller may get when nothing is wrong, for its turn never began. */
const MAY_TRY_AGAIN = new Set(["SESSION_BUSY", "HOST_OVERLOADED"]);

const { open, folder } = persistentHosts();

interface Killable {
  readonly state: string;
  readonly thread: { kill(reason: string): void };
}

/** The lanes that are up. */
function lanesOf(service: PersistentSessionService): Killable[] {
  const { pool } = (service as unknown as { host: { pool: Iterable<Killable> } }).host;
  return [...pool].filter(({ state }) => state === "ready");
}

/** How turns ended. */
interface Tally {
  committed: number;
  /** Answered from the store with the result they had saved. */
  lost: number;
  exits: number;
  devoured: number;
}

/** One after the other: on a disk, and one so slow that much of what a lane sent is still on its way when it dies. */
function storeOf(seed: number): StoreOptions {
  if (seed % 2 === 0) return { kind: "lmdb", path: folder() };
  return { kind: "module", module: new URL("../fixtures/slow-store.mjs", import.meta.url), options: { seed, blockMs: 15 } };
}

/** Users of one host, until so many of its lanes have died. */
async function round(seed: number, deaths: number, tally: Tally): Promise<void> {
  const random = randomOf(seed);
  const service = await open({
    lanes: { count: 2, resourceLimits: { maxOldGenerationSizeMb: 48 } },
    store: storeOf(seed),
    durability: random() < 0.5 ? "fsync" : "commit",
    events: "log",
    maxSessions: random() < 0.5 ? 100 : 6,
  });
  const ids: string[] = [];
  // One after the other: so each finds another that may sleep.
  for (let i = 0; i < SESSIONS; i++) ids.push((await service.createSession({ prompt: "", initialTurn: "defer" })).sessionId);
  const expected = new Map<string, string[]>(ids.map((id) => [id, []]));
  const lost = (): number => service.inspect().lanesLost;
  const deadly = (): string | undefined => {
    if (random() > 0.01 || lost() + 1 >= deaths) return undefined;
    return random() < 0.7 ? script(["exit", 1]) : script(["devour"]);
  };
  // Who killed its lane twice, or was alone in two that were killed, is in quarantine: its operator lets it go on.
  const users = ids.map(async (id, user) => {
    for (let turn = 1; lost() < deaths; turn++) {
      const prompt = deadly() ?? `${user}.${turn}`;
      try {
        await service.startTurn(id, { prompt });
        expected.get(id)?.push(prompt);
        tally.committed++;
      } catch (error) {
        const { code, agentError, details, message } = error as SessionError;
        if (agentError?.kind === "lane_lost") {
          expect(details, `${message}`).toMatchObject({ outcome: "not_committed" });
          tally.lost++;
          if (prompt.includes("exit")) tally.exits++;
          if (prompt.includes("devour")) tally.devoured++;
        } else if (code === "SESSION_QUARANTINED") await service.releaseQuarantine(id);
        else if (!MAY_TRY_AGAIN.has(code) && details?.["reason"] !== "capacity") throw error;
        await sleep(1);
      }
    }
  });
  const killing = (async () => {
    while (lost() < deaths) {
      await sleep(10 + random() * 60);
      const lanes = lanesOf(service);
      if (lost() < deaths) lanes[Math.floor(random() * lanes.length)]?.thread.kill("killed by the test");
    }
  })();
  await patiently(Promise.all([...users, killing]), ROUND_MAX_S, () => `one of ${JSON.stringify(service.inspect())}`);
  await until("lanes are up", () => lanesOf(service).length > 0);
  for (const [id, prompts] of expected) {
    const next = "and on";
    await until("it goes on", async () => {
      try {
        return (await settled(service.startTurn(id, { prompt: next }))).text === next;
      } catch (error) {
        const { code, details } = error as SessionError;
        if (code === "SESSION_QUARANTINED") await service.releaseQuarantine(id);
        else if (!MAY_TRY_AGAIN.has(code) && details?.["reason"] !== "capacity") throw error;
        return false;
      }
    });
    const { messages } = await service.exportSession(id);
    expect(contents(messages), `session ${ids.indexOf(id)}`).toEqual(echoed(...prompts, next));
  }
  await service.shutdown({ deadlineMs: 0 });
}

test(`G6, LT1: turns of ${DEATHS} lanes that die are committed and answered, or neither (seed ${CRASH_SEED})`, async () => {
  const tally: Tally = { committed: 0, lost: 0, exits: 0, devoured: 0 };
  for (let dead = 0, number = 0; dead < DEATHS; dead += DEATHS_A_HOST, number++) {
    const seed = CRASH_SEED + number;
    try {
      await round(seed, Math.min(DEATHS_A_HOST, DEATHS - dead), tally);
    } catch (error) {
      throw new Error(`host ${number} failed; CRASH_SEED=${seed} CRASH_LANES=${DEATHS_A_HOST} makes its choices again: ${String(error)}`, {
        cause: error,
      });
    }
  }
  expect(tally.committed).toBeGreaterThan(DEATHS / 2);
  expect(tally.lost).toBeGreaterThan(DEATHS / 4);
  if (DEATHS < 100) return; // too few to have every kind
  expect(tally.exits).toBeGreaterThan(0);
  expect(tally.devoured).toBeGreaterThan(0);
});
