/**
 * P10: a lane is lost with all its sessions, in the middle of their turns. What counts is the time from the call that ends it until every
 * one of them has answered a turn again, which takes its wake-up from the store and a durable turn; and that no turn is missing whose
 * answer somebody had.
 */
import { setTimeout as sleep } from "node:timers/promises";

import type { Contender, Figures, Subject } from "../harness/case.ts";
import { defineCase } from "../harness/case.ts";
import { measured, rounds, valueTarget } from "../harness/targets.ts";
import { openDocumentProcess } from "../peers/document-process.ts";
import { TEXT } from "../peers/stored-sessions.ts";
import { openDurableWarren } from "../peers/warren-durable.ts";

interface Loss {
  /** In the lane that is lost; there is another one with as many. */
  readonly sessions: number;
  readonly messages: number;
  readonly inFlight: number;
}

const MAIN = "10,000 sessions, 1,024 turns in flight";
const FEW = "1,000 sessions, 128 turns in flight";
const MESSAGES = 10;
/** Milliseconds of turns before the loss. */
const LOAD_MS = 200;
const RETRY_MS = 1;

/** Sessions that are lost together, and what loses them. */
interface Mortal {
  readonly ids: readonly string[];
  readonly turn: (id: string, prompt: string) => Promise<string>;
  readonly kill: () => void;
  /** Messages of a session, as its store has them; undefined: nobody can be asked. */
  readonly countOf?: (id: string) => Promise<number>;
}

async function loseAll({ ids, turn, kill, countOf }: Mortal, inFlight: number): Promise<Figures> {
  const before = new Map<string, number>();
  if (countOf !== undefined) for (const id of ids) before.set(id, await countOf(id));
  const acknowledged = new Map<string, number>();
  const tryTurn = async (id: string): Promise<boolean> => {
    try {
      await turn(id, TEXT);
    } catch {
      return false; // what was running was lost: that is what is measured
    }
    acknowledged.set(id, (acknowledged.get(id) ?? 0) + 1);
    return true;
  };

  let killedAt = 0;
  let firstMs = 0;
  const rest = ids.values();
  const caller = async (_: unknown, number: number): Promise<void> => {
    for (let n = number; killedAt === 0; n += inFlight) await tryTurn(ids[n % ids.length] as string);
    for (const id of rest) {
      while (!(await tryTurn(id))) await sleep(RETRY_MS);
      firstMs ||= performance.now() - killedAt;
    }
  };
  const callers = Array.from({ length: inFlight }, caller);
  await sleep(LOAD_MS);
  killedAt = performance.now();
  kill();
  await Promise.all(callers);
  const allMs = performance.now() - killedAt;

  if (countOf === undefined) return { firstMs, allMs };
  let lostTurns = 0;
  for (const id of ids) {
    const turns = ((await countOf(id)) - (before.get(id) ?? 0)) / 2;
    lostTurns += Math.abs(turns - (acknowledged.get(id) ?? 0));
  }
  return { firstMs, allMs, lostTurns };
}

async function openWarren({ sessions, messages, inFlight }: Loss): Promise<Subject> {
  const { service, ids, close } = await openDurableWarren([{ sessions: 2 * sessions, messages }], { agentName: "mortal" });
  /** Session → the thread it was in last. */
  const threads = new Map<string, string>();
  const turn = async (id: string, prompt: string): Promise<string> => {
    const { text } = await service.startTurn(id, { prompt });
    threads.set(id, text);
    return text;
  };
  const wakeAll = async (): Promise<void> => {
    const rest = (ids[0] ?? []).values();
    const wake = async (): Promise<void> => {
      for (const id of rest) await turn(id, TEXT);
    };
    await Promise.all(Array.from({ length: inFlight }, wake));
  };
  return {
    round: async () => {
      for (const id of service.inspect().quarantined) await service.releaseQuarantine(id); // the killer of earlier rounds
      await wakeAll(); // of two lanes one has half of them, or more
      // One session ends the lane and is not among those that are measured.
      const [killer = "", ...lost] = largest(threads).slice(0, sessions + 1);
      if (lost.length < 0.99 * sessions) throw new Error(`the lane has ${lost.length + 1} sessions, not ${sessions}`);
      const kill = (): void => void turn(killer, "exit").catch(() => {});
      const countOf = async (id: string): Promise<number> => (await service.read(id)).state.messageCount;
      return { figures: await loseAll({ ids: lost, turn, kill, countOf }, inFlight) };
    },
    close,
  };
}

/** @returns sessions of the thread that has most of them */
function largest(threads: ReadonlyMap<string, string>): string[] {
  const byThread = new Map<string, string[]>();
  for (const [id, thread] of threads) {
    const ids = byThread.get(thread) ?? [];
    ids.push(id);
    byThread.set(thread, ids);
  }
  return [...byThread.values()].toSorted((a, b) => b.length - a.length)[0] ?? [];
}

async function openDocuments({ sessions, messages, inFlight }: Loss): Promise<Subject> {
  const peer = await openDocumentProcess(sessions, messages);
  return { round: async () => ({ figures: await loseAll(peer, inFlight) }), close: peer.close };
}

function contender(name: string, kind: Contender<Loss>["kind"], open: (loss: Loss) => Promise<Subject>): Contender<Loss> {
  return { name, kind, open };
}

export const laneRecovery = defineCase<Loss>({
  name: "lane-recovery",
  title: "A lane is lost",
  metrics: {
    /** Until the first of the lost sessions has answered. */
    firstMs: { unit: "ms", better: "lower" },
    allMs: { unit: "ms", better: "lower" },
    /** Turns that were acknowledged and are not stored, or the other way round. */
    lostTurns: { unit: "turns", better: "lower" },
  },
  yardstick: "whole documents in a process",
  scenarios: [
    { name: MAIN, parameters: { sessions: 10_000, messages: MESSAGES, inFlight: 1024 } },
    { name: FEW, parameters: { sessions: 1000, messages: MESSAGES, inFlight: 128 } },
  ],
  smoke: [FEW],
  contenders: [contender("warren balanced", "warren", openWarren), contender("whole documents in a process", "peer", openDocuments)],
  targets: (results) => {
    const at = (metric: string) => rounds(measured(results, MAIN, "warren balanced"), metric);
    return [
      valueTarget(
        {
          id: "P10",
          what: "a lane with 10,000 sessions is lost: all of them have answered again",
          limit: 2000,
          unit: "ms",
          better: "lower",
        },
        at("allMs"),
      ),
      valueTarget({ id: "P10", what: "acknowledged turns lost with it", limit: 0, unit: "turns", better: "lower" }, at("lostTurns")),
    ];
  },
});
