/** Warren as a contender: a service with its sessions, in one of its two latency modes. */
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

/** Two lanes unless told otherwise. Everything that is on by default is on. */
export async function openWarren({ agentName = "noop", sessions, ...options }: WarrenSetup): Promise<WarrenPeer> {
  const agent = new URL(`../agents/${agentName}.js`, import.meta.url);
  const service = await EphemeralSessionService.open({ agent, lanes: { count: 2 }, ...options });
  const ids: string[] = [];
  while (ids.length < sessions) {
    const lot = Math.min(10_000, sessions - ids.length);
    const created = await Promise.all(Array.from({ length: lot }, () => service.createSession({ prompt: "", initialTurn: "defer" })));
    ids.push(...created.map(({ sessionId }) => sessionId));
  }
  return { service, ids, [Symbol.asyncDispose]: () => service.shutdown() };
}

/** A session for the n-th call of a caller: each caller walks a share of its own, so that none is ever busy. */
export function sessionOf(ids: readonly string[], caller: number, callers: number, n: number): string {
  const share = Math.max(1, Math.floor(ids.length / callers));
  return ids[(caller + (n % share) * callers) % ids.length] as string;
}
