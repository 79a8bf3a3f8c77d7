/** Hosts for faults. One that is as good as new after a fault serves the next: starting threads is most of what a run costs. */
import { expect } from "vitest";

import type { SessionService } from "../../dist/src/index.js";
import { EphemeralSessionService, PersistentSessionService } from "../../dist/src/index.js";
import { bounded } from "./attempt.ts";
import type { Fault, HostKind } from "./fault.ts";

const AGENT = new URL("../fixtures/faults/agent.mjs", import.meta.url);
const GRACE_MS = 300;
/** Lanes a host may have lost and still serve. */
const LOST_MAX = 50;

const idle = new Map<string, SessionService[]>();

const keyOf = (kind: HostKind, { options }: Fault): string => `${kind} ${JSON.stringify(options ?? {})}`;

export async function takeHost(kind: HostKind, fault: Fault): Promise<SessionService> {
  const used = idle.get(keyOf(kind, fault))?.pop();
  if (used !== undefined) return used;
  const { options } = fault;
  const shared = {
    agent: AGENT,
    interruptGraceMs: GRACE_MS,
    consumerStallMs: 1000,
    ...options,
    // A host serves many faults: what it has replaced before does not delay what it replaces next.
    lanes: { count: 2, restartsMax: 1000, restartWindowMs: 1, ...options?.lanes },
  };
  return kind === "ephemeral"
    ? EphemeralSessionService.open(shared)
    : PersistentSessionService.open({ ...shared, store: { kind: "memory" } });
}

/** A host that served a fault is shut down (F5), or kept for the next. */
export async function giveHost(service: SessionService, kind: HostKind, fault: Fault, isSound: boolean): Promise<void> {
  if (!isSound || fault.stains || service.inspect().lanesLost > LOST_MAX) return close(service);
  const key = keyOf(kind, fault);
  idle.set(key, [...(idle.get(key) ?? []), service]);
}

export async function closeHosts(): Promise<void> {
  for (const services of idle.values()) await Promise.all(services.splice(0).map(close));
}

async function close(service: SessionService): Promise<void> {
  const ending = service.shutdown({ deadlineMs: 0 });
  expect(await bounded(ending.then(() => "ended")), "F5: shutdown").toBe("ended");
}
