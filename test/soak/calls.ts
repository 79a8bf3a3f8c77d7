/** Calls of the soak: each settles in time, with a result or an error that may be. */
import type { SessionError } from "../../src/index.ts";
import type { Fate } from "./model.ts";

/** Seconds until a call is said to hang. */
const SETTLE_MAX_S = 60;

/** Something does not hold. */
export class SoakFailure extends Error {}

/** Counted by name, over the whole run. */
export class Tally {
  readonly #counts = new Map<string, number>();

  add(name: string, count = 1): void {
    this.#counts.set(name, this.of(name) + count);
  }

  of(name: string): number {
    return this.#counts.get(name) ?? 0;
  }

  entries(): [name: string, count: number][] {
    return [...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1));
  }
}

/** Settle like `call`. @throws SoakFailure when it hangs */
export async function settles<T>(call: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const hanging = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new SoakFailure(`${what} hangs`)), SETTLE_MAX_S * 1000);
  });
  try {
    return await Promise.race([call, hanging]);
  } finally {
    clearTimeout(timer);
  }
}

/** Codes that a call may end with while lanes die and stores fail; anything else is a failure of the soak. */
const POSSIBLE = new Set([
  "SESSION_BUSY",
  "SESSION_NOT_FOUND",
  "SESSION_NOT_RUNNING",
  "SESSION_STORE_ERROR",
  "SESSION_QUARANTINED",
  "AGENT_ERROR",
  "HOST_OVERLOADED",
]);

/** @returns what a call ended with. @throws SoakFailure for what must not be */
export function wordOf(error: unknown, what: string): string {
  if (error instanceof SoakFailure) throw error;
  const { code, agentError, details } = error as Partial<SessionError>;
  if (code === undefined || !POSSIBLE.has(code)) throw new SoakFailure(`${what} ended with ${String(error)}`, { cause: error });
  if (code === "AGENT_ERROR" && details?.["reason"] === "capacity") return "capacity";
  return code === "AGENT_ERROR" ? (agentError?.kind ?? code) : code;
}

/** @returns what became of a turn that ended with the error */
export function fateOf(error: unknown): Fate {
  const { code, agentError, details } = error as SessionError;
  if (code === "SESSION_STORE_ERROR") return "maybe";
  return agentError?.kind === "lane_lost" && details?.["outcome"] !== "not_committed" ? "maybe" : "not";
}
