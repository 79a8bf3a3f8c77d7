/**
 * docs/faults.md: a section a group of faults, a row a fault and host. The rows are what the runs observed: `npm run faults` writes them,
 * the tests compare.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import type { HostKind, Observation } from "./fault.ts";

const PATH = fileURLToPath(new URL("../../docs/faults.md", import.meta.url));
const HEAD = [
  "An agent that …",
  "host",
  "its caller gets",
  "its session afterwards",
  "other sessions of its lane",
  "sessions in other lanes",
  "the host",
];

/** Whether what is observed is written down instead of compared. */
export const isWriting = process.env["WARREN_FAULTS"] === "write";

/** One fault's rows: one if both hosts showed the same. */
export function rowsOf(name: string, seen: Readonly<Partial<Record<HostKind, Observation>>>): string[] {
  const { ephemeral, persistent } = seen;
  const row = (host: string, { caller, session, neighbours, otherLanes, host: lanes }: Observation): string =>
    `| ${[name, host, caller, session, neighbours, otherLanes, lanes].join(" | ")} |`;
  if (ephemeral !== undefined && persistent !== undefined && JSON.stringify(ephemeral) === JSON.stringify(persistent))
    return [row("both", ephemeral)];
  return [...(ephemeral ? [row("ephemeral", ephemeral)] : []), ...(persistent ? [row("with a store", persistent)] : [])];
}

const heading = (group: string): string => `## ${group}\n`;

/** @returns the rows that the document has for a fault of a group */
export function documentedRows(group: string, name: string): string[] {
  return rowsIn(group).filter((row) => row.startsWith(`| ${name} |`));
}

/** @returns every row of a group, in order */
export function rowsIn(group: string): string[] {
  const text = readFileSync(PATH, "utf8");
  const from = text.indexOf(heading(group));
  if (from < 0) return [];
  const section = text.slice(from + 3).split("\n## ")[0] as string;
  return section
    .split("\n")
    .filter((line) => line.startsWith("| "))
    .slice(2);
}

/** Put a group's rows in the place of those there are. */
export function writeRows(group: string, rows: readonly string[]): void {
  const text = readFileSync(PATH, "utf8");
  const from = text.indexOf(heading(group));
  if (from < 0) throw new Error(`docs/faults.md has no section ${group}`);
  const lines = text.slice(from).split("\n");
  const next = lines.findIndex((line, at) => at > 0 && line.startsWith("## "));
  const section = next < 0 ? lines : lines.slice(0, next);
  const words = section
    .filter((line) => !line.startsWith("| "))
    .join("\n")
    .trimEnd();
  const table = [`| ${HEAD.join(" | ")} |`, `| ${HEAD.map(() => "---").join(" | ")} |`, ...rows].join("\n");
  const rest = next < 0 ? "" : `\n${lines.slice(next).join("\n")}`;
  writeFileSync(PATH, `${text.slice(0, from)}${words}\n\n${table}\n${rest}`);
}
