/** What makes a comparison of two runs less than it seems. */
import type { RunResults } from "../harness/results.ts";

/** With fewer rounds the lowest and the highest say little about the noise. */
const ROUNDS_MIN = 3;

/** @returns a sentence each; none when the runs can be compared as they are */
export function doubtsAbout(before: RunResults, after: RunResults): string[] {
  const doubts: string[] = [];
  const differ = (what: string, a: string | number, b: string | number): void => {
    if (a !== b) doubts.push(`${what} differs: ${a} before, ${b} after`);
  };
  differ("Node", before.machine.node, after.machine.node);
  differ("the CPU", before.machine.cpu, after.machine.cpu);
  differ("the number of cores", before.machine.cores, after.machine.cores);
  differ("the operating system", before.machine.os, after.machine.os);
  for (const [when, { rounds }] of [["before", before] as const, ["after", after] as const]) {
    if (rounds < ROUNDS_MIN) doubts.push(`the run ${when} has only ${rounds} round${rounds === 1 ? "" : "s"}: its spread says little`);
  }
  const only = (one: RunResults, other: RunResults): string[] =>
    one.cases.map(({ name }) => name).filter((name) => !other.cases.some((known) => known.name === name));
  for (const [when, names] of [["before", only(before, after)] as const, ["after", only(after, before)] as const]) {
    if (names.length > 0) doubts.push(`only the run ${when} has ${names.join(", ")}`);
  }
  return doubts;
}
