/** What a simulated agent does in a turn: decided beforehand, found by the turn's prompt. */
import type { Random } from "./random.ts";

export type Step =
  | { readonly do: "emit"; readonly count: number; readonly awaits: boolean }
  | { readonly do: "sleep"; readonly ms: number }
  | { readonly do: "yield" }
  /** The lane's loop stands still. */
  | { readonly do: "block"; readonly ms: number; readonly polls: boolean }
  /** A model call: what is staged is taken. */
  | { readonly do: "take" }
  | { readonly do: "checkpoint" }
  /** Something throws that nobody awaits. */
  | { readonly do: "stray" };

export interface Plan {
  readonly steps: readonly Step[];
  readonly ending: "return" | "throw" | "throw odd" | "hang" | "bad result";
  /** It stops when it is interrupted. */
  readonly obeys: boolean;
  /** It emits once more when its turn is over. */
  readonly emitsLate: boolean;
}

/** A turn that must succeed. */
export const PLAIN: Plan = { steps: [{ do: "take" }], ending: "return", obeys: true, emitsLate: false };

/** @param isWild - it may block, hang and fail */
export function makePlan(random: Random, isWild: boolean): Plan {
  const steps: Step[] = [];
  for (let left = random.pick([0, 0, 1, 1, 2, 4]); left > 0; left--) steps.push(makeStep(random, isWild));
  const ending = isWild && random.chance(0.25) ? random.pick(["throw", "throw", "throw odd", "hang", "bad result"] as const) : "return";
  return { steps, ending, obeys: random.chance(0.7), emitsLate: random.chance(0.05) };
}

function makeStep(random: Random, isWild: boolean): Step {
  const at = random.below(100);
  if (at < 22) return { do: "emit", count: random.pick([1, 1, 2, 5]), awaits: random.chance(0.8) };
  // More than a consumer's window; rare, as it takes as long as everything else of a run.
  if (at < 24 && random.chance(0.15)) return { do: "emit", count: random.pick([300, 600]), awaits: true };
  if (at < 56) return { do: "sleep", ms: random.pick([0, 1, 5, 30]) };
  if (at < 66) return { do: "yield" };
  if (at < 84) return { do: "take" };
  if (at < 91) return { do: "checkpoint" };
  if (!isWild || at < 94) return { do: "sleep", ms: random.pick([1, 150]) };
  if (at < 96) return { do: "stray" };
  return { do: "block", ms: random.pick([3, 60, 900, 4000]), polls: random.chance(0.4) };
}
