/** Who runs which cases, and what came of them. Pure. */
import Table from "cli-table3";

import type { Boundary } from "./boundary.ts";
import type { Outcome } from "./run-cases.ts";

export interface Job {
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

/**
 * @param total - cases of all boundaries together, which get them by their weights
 * @param range - the same cases of each instead
 * @returns the jobs of each thread
 */
export function casesOf(
  boundaries: readonly Pick<Boundary, "name" | "weight">[],
  total: number,
  threads: number,
  range: { from: number; to: number } | undefined,
): Job[][] {
  if (range !== undefined) return [boundaries.map(({ name }) => ({ name, ...range }))];
  const weights = boundaries.reduce((sum, { weight = 1 }) => sum + weight, 0);
  const shares = boundaries.map(({ name, weight = 1 }) => ({ name, each: Math.ceil((total * weight) / weights / threads) }));
  return Array.from({ length: threads }, (_, thread) =>
    shares.map(({ name, each }) => ({ name, from: thread * each, to: (thread + 1) * each })),
  );
}

/** @returns one outcome a boundary, in the order they were first met */
export function addUp(outcomes: readonly Outcome[]): Outcome[] {
  const sums = new Map<string, Outcome>();
  for (const { name, accepted, refused, ms } of outcomes) {
    const sum = sums.get(name) ?? { name, accepted: 0, refused: 0, ms: 0 };
    sums.set(name, { name, accepted: sum.accepted + accepted, refused: sum.refused + refused, ms: sum.ms + ms });
  }
  return [...sums.values()];
}

/** @param seconds - that passed; the boundaries' own are of all threads together */
export function tableOf(outcomes: readonly Outcome[], seconds: number): string {
  const table = new Table({
    head: ["boundary", "cases", "accepted", "refused", "seconds"],
    style: { head: [], border: [], compact: true },
  });
  const row = (name: string, accepted: number, refused: number, took: number): void => {
    const counts = [accepted + refused, accepted, refused].map((count) => ({
      content: count.toLocaleString("en"),
      hAlign: "right" as const,
    }));
    table.push([name, ...counts, { content: took.toFixed(1), hAlign: "right" }]);
  };
  for (const { name, accepted, refused, ms } of outcomes) row(name, accepted, refused, ms / 1000);
  const sum = (count: (outcome: Outcome) => number): number => outcomes.reduce((total, outcome) => total + count(outcome), 0);
  row("all", sum(({ accepted }) => accepted), sum(({ refused }) => refused), seconds); // prettier-ignore
  return table.toString();
}
