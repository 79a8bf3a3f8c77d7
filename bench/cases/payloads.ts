/** Large prompts and answers: the no-op agent gives back its prompt. Megabytes of both a second, 16 turns in flight, closed loop. */
import type { Contender, ContenderKind, Figures, Round, Subject } from "../harness/case.ts";
import { defineCase } from "../harness/case.ts";
import { closedLoop } from "../harness/load.ts";
import { openBareFrames } from "../peers/bare-frames.ts";
import type { CallPeer } from "../peers/call-peer.ts";
import { textOf } from "../peers/event-work.ts";
import { pickFastest } from "../peers/fastest.ts";
import { openBareEcho, openComlink, openFork } from "../peers/messages.ts";
import { openPiscina, openTinypool } from "../peers/pools.ts";
import { openWarren, sessionOf } from "../peers/warren.ts";

interface Payload {
  /** Of the prompt, and again of the answer. */
  readonly bytes: number;
}

const ROUND_MS = 250;
const LEAD_IN_MS = 100;
/** A scenario's threads are new: they have the code to compile that a turn goes through. */
const WARM_UP_MS = 600;
const IN_FLIGHT = 16;
const SESSIONS = 64;
const KB = 1024;
const SIZES: Readonly<Record<string, number>> = { "1 KB": KB, "16 KB": 16 * KB, "128 KB": 128 * KB, "1 MB": 1024 * KB };
const MAIN = "16 KB each way";

const figuresOf = (perSecond: number, bytes: number): Figures => ({ mbPerSecond: (perSecond * 2 * bytes) / 1e6, perSecond });

/** @throws Error when an answer is not as long as its prompt */
async function load(call: (caller: number, n: number) => Promise<{ text: string }>, bytes: number, durationMs: number): Promise<Round> {
  const checked = async (caller: number, n: number): Promise<void> => {
    const { text } = await call(caller, n);
    if (text.length !== bytes) throw new Error(`an answer of ${text.length} characters to ${bytes}`);
  };
  return { figures: figuresOf((await closedLoop(checked, IN_FLIGHT, durationMs)).perSecond, bytes) };
}

/**
 * Sessions remember what was said: with the same ones for all rounds, the lanes would hold a gigabyte of transcripts before the last.
 * So every round has new sessions, made before and discarded after the time that counts.
 */
const warren: Contender<Payload> = {
  name: "warren balanced",
  kind: "warren",
  open: async ({ bytes }) => {
    const peer = await openWarren({ sessions: 0 });
    const { service } = peer;
    const prompt = textOf(bytes);
    const round = async (durationMs: number): Promise<Round> => {
      const created = await Promise.all(
        Array.from({ length: SESSIONS }, () => service.createSession({ prompt: "", initialTurn: "defer" })),
      );
      const ids = created.map(({ sessionId }) => sessionId);
      const result = await load((caller, n) => service.startTurn(sessionOf(ids, caller, IN_FLIGHT, n), { prompt }), bytes, durationMs);
      await Promise.all(ids.map((id) => service.discardLiveSession(id)));
      return result;
    };
    await round(WARM_UP_MS);
    return { leadIn: () => round(LEAD_IN_MS), round: () => round(ROUND_MS), close: async () => peer[Symbol.asyncDispose]() };
  },
};

function peer(name: string, kind: ContenderKind, open: (inFlight: number, prompt: string) => Promise<CallPeer>): Contender<Payload> {
  return {
    name,
    kind,
    open: async ({ bytes }) => {
      const prompt = textOf(bytes);
      const opened = await open(IN_FLIGHT, prompt);
      const sessionId = "019a9f00-0000-7000-8000-000000000000";
      const round = (durationMs: number): Promise<Round> => load(() => opened.call({ sessionId, prompt }), bytes, durationMs);
      await round(WARM_UP_MS);
      return {
        ...(opened.setup !== undefined && { setup: opened.setup }),
        leadIn: () => round(LEAD_IN_MS),
        round: () => round(ROUND_MS),
        close: () => opened.close(),
      };
    },
  };
}

const frames: Contender<Payload> = {
  name: "bare batched frames",
  kind: "limit",
  open: async ({ bytes }) => {
    const once = async (subject: Subject): Promise<number> => (await subject.round()).figures["perSecond"] as number;
    const { peer: subject } = await pickFastest(
      { "1 thread": 1, "2 threads": 2 },
      (workers) => openBareFrames({ inFlight: IN_FLIGHT, prompt: textOf(bytes), roundMs: ROUND_MS, workers }),
      once,
    );
    return { ...subject, round: async () => ({ figures: figuresOf(await once(subject), bytes) }) };
  },
};

export const payloads = defineCase<Payload>({
  name: "payloads",
  title: "Large prompts and answers",
  metrics: { mbPerSecond: { unit: "MB/s", better: "higher" }, perSecond: { unit: "turns/s", better: "higher" } },
  yardstick: "bare batched frames",
  scenarios: Object.entries(SIZES).map(([size, bytes]) => ({ name: `${size} each way`, parameters: { bytes } })),
  smoke: [MAIN],
  contenders: [
    warren,
    peer("piscina", "peer", openPiscina),
    peer("tinypool", "peer", openTinypool),
    peer("comlink", "peer", openComlink),
    peer("child process", "peer", openFork),
    peer("bare echo", "limit", openBareEcho),
    frames,
  ],
});
