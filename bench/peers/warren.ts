/** Warren as a contender: a service with its sessions, in one of its two latency modes. */
import { setTimeout as sleep } from "node:timers/promises";

import type { SessionServiceOptions } from "../../src/index.ts";
import { EphemeralSessionService } from "../../src/index.ts";

export interface WarrenSetup extends Partial<SessionServiceOptions> {
  /** Module in bench/agents, without its extension. Default "noop". */
  readonly agentName?: string;
  /** Deferred sessions to create. */
  readonly sessions: number;
}

export interface WarrenPeer extends AsyncDisposable {
  readonly service: EphemeralSessionService;
  readonly ids: readonly string[];
}

/** Creates on their way at once: as many as a host lets in however far it is behind. */
const LOT = 8192;
/** Milliseconds lanes may take to forget what was archived. */
const FORGET_MAX_MS = 30_000;

/** Two lanes unless told otherwise. Everything that is on by default is on. */
export async function openWarren({ agentName = "noop", sessions, ...options }: WarrenSetup): Promise<WarrenPeer> {
  const agent = new URL(`../agents/${agentName}.js`, import.meta.url);
  const service = await EphemeralSessionService.open({ agent, lanes: { count: 2 }, ...options });
  return { service, ids: await createSessions(service, sessions), [Symbol.asyncDispose]: () => service.shutdown() };
}

/** @returns ids of new deferred sessions */
export async function createSessions(service: EphemeralSessionService, count: number): Promise<string[]> {
  const ids: string[] = [];
  while (ids.length < count) {
    const lot = Math.min(LOT, count - ids.length);
    const created = await Promise.all(Array.from({ length: lot }, () => service.createSession({ prompt: "", initialTurn: "defer" })));
    for (const { sessionId } of created) ids.push(sessionId);
  }
  return ids;
}

/** Archive sessions and wait until their lanes have forgotten them. @throws Error when they do not */
export async function archiveAll(service: EphemeralSessionService, ids: readonly string[]): Promise<void> {
  const left = service.inspect().slots.allocated - ids.length;
  for (const id of ids) await service.archive(id);
  for (const startedAt = performance.now(); service.inspect().slots.allocated > left; await sleep(5)) {
    if (performance.now() - startedAt > FORGET_MAX_MS) throw new Error(`${service.inspect().slots.allocated} slots are still in use`);
  }
}

/** What the prompts of the agent "hog" make a turn do. */
export type HogWay = "poll" | "listen" | "ignore" | "block";
/** Milliseconds a turn gets to be in its loop once it has said that it goes there. */
const ENTER_MS = 1;

/**
 * Start a turn of the agent "hog" and wait until it runs.
 *
 * @returns the kind of AGENT_ERROR the turn ends with: "cancelled" when it was interrupted. It rejects when the turn ends otherwise
 */
export async function startHog(service: EphemeralSessionService, id: string, way: HogWay): Promise<{ ended: Promise<string> }> {
  let started!: () => void;
  const isStarted = new Promise<void>((resolve) => (started = resolve));
  const ended = service.startTurn(id, { prompt: way, onEvent: () => started() }).then(
    () => Promise.reject(new Error("the hog completed its turn")),
    (error: { agentError?: { kind: string } }) => error.agentError?.kind ?? Promise.reject(error),
  );
  await Promise.race([isStarted, ended.then((kind) => Promise.reject(new Error(`the hog did not start: ${kind}`)))]);
  await sleep(ENTER_MS);
  return { ended };
}

/**
 * What every lane's heap holds after a forced collection, asked of a session in each; the agent is "memory".
 *
 * @param ids - sessions, the first of them spread over all lanes
 * @returns bytes, all lanes together
 */
export async function laneHeapBytes(service: EphemeralSessionService, ids: readonly string[]): Promise<number> {
  const lanes = service.inspect().lanes.length;
  const answers = ids.slice(0, lanes).map(async (id) => (await service.startTurn(id, { prompt: "heap" })).text);
  const heaps = (await Promise.all(answers)).map((text) => JSON.parse(text) as { threadId: number; bytes: number });
  if (new Set(heaps.map(({ threadId }) => threadId)).size !== lanes)
    throw new Error(`the first ${lanes} sessions are not in ${lanes} lanes`);
  return heaps.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** A session for the n-th call of a caller: each caller walks a share of its own, so that none is ever busy. */
export function sessionOf(ids: readonly string[], caller: number, callers: number, n: number): string {
  const share = Math.max(1, Math.floor(ids.length / callers));
  return ids[(caller + (n % share) * callers) % ids.length] as string;
}
