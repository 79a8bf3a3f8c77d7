/** Calls of one generation of a host that have not settled, and what their errors may be. */
import { SessionError, StreamError } from "../../src/protocol/errors.ts";
import type { Faults } from "./faults.ts";
import type { ModelTurn, Outcome } from "./model.ts";
import type { Process } from "./process.ts";
import { describe } from "./world.ts";
import type { World } from "./world.ts";

/** A caller's own reason to give up. */
export class GaveUp extends Error {}

export class Calls {
  readonly pending = new Set<string>();
  /** Those that may wait until the host is closed. */
  readonly patient = new Set<string>();
  readonly #world: World;
  readonly #faults: Faults;
  readonly #main: Process;
  #count = 0;

  constructor(world: World, faults: Faults, main: Process) {
    this.#world = world;
    this.#main = main;
    this.#faults = faults;
  }

  /**
   * Follow a call until it settles.
   *
   * @param onError - returns whether the error is one that the call may end with; default: any SessionError that is no bug
   */
  track<T>(
    what: string,
    call: Promise<T>,
    onOk: (value: T) => void = () => {},
    onError: (error: unknown) => boolean = isOrdinary,
    among = this.pending,
  ): void {
    const name = `${what} (call ${++this.#count})`;
    among.add(name);
    this.#world.trace(`${name} …`);
    // What follows a drop in the same macrotask has no effect.
    const isLost = (): boolean => !this.#main.isAlive;
    const settle = (how: string): void => {
      this.#world.trace(`${name}: ${how}`);
      if (!among.delete(name)) this.#world.violate(`${name} settled twice`);
    };
    call.then(
      (value) => {
        if (isLost()) return;
        settle("ok");
        onOk(value);
      },
      (error: unknown) => {
        if (isLost()) return;
        settle(shortOf(error));
        this.#faults.saw(`error: ${shortOf(error)}`);
        if (!onError(error)) this.#world.violate(`${name} ended with ${describe(error)}`);
      },
    );
  }
}

const ORDINARY = new Set([
  "SESSION_NOT_FOUND",
  "SESSION_BUSY",
  "SESSION_NOT_RUNNING",
  "SESSION_STORE_ERROR",
  "SESSION_UNSUPPORTED",
  "SESSION_PERSISTENCE_DISABLED",
  "SESSION_SYSTEM_CONTEXT_CONFLICT",
  "IDEMPOTENCY_CONFLICT",
  "SESSION_QUARANTINED",
  "AGENT_ERROR",
  "HOST_OVERLOADED",
  "HOST_CLOSED",
]);

export function isOrdinary(error: unknown): boolean {
  if (error instanceof GaveUp) return true;
  if (error instanceof StreamError) return error.code !== "INTERNAL";
  return error instanceof SessionError && ORDINARY.has(error.code);
}

/** @returns the class of an error, for the trace and for the count */
function shortOf(error: unknown): string {
  if (!(error instanceof SessionError)) return error instanceof Error ? error.constructor.name : String(error);
  const { code, agentError, details } = error;
  const why = agentError?.kind ?? "";
  const detail = details?.["outcome"] ?? details?.["reason"];
  return [code, why, typeof detail === "string" ? detail : ""].filter((part) => part !== "").join(" ");
}

/** @returns what the caller of a turn knows of it by its error */
export function outcomeOf(turn: ModelTurn, error: unknown, { doubtful }: Faults): Outcome {
  if (!(error instanceof SessionError)) return "failed"; // it never began
  const { code, agentError, details } = error;
  if (agentError?.kind === "cancelled") return "cancelled";
  if (agentError?.kind === "lane_lost") return details?.["outcome"] === "unknown" ? "unknown" : "failed";
  if (turn.ran === undefined) return "failed";
  if (code === "HOST_CLOSED") return "unknown";
  if (code !== "SESSION_STORE_ERROR") return "failed";
  const reason = details?.["reason"];
  const isInDoubt = reason === "stalled" || reason === "closed" || (turn.ticket !== undefined && doubtful.has(turn.ticket));
  return isInDoubt ? "unknown" : "failed";
}
