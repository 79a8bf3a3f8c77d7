/** Results of a run as they are written: one JSON file, read back with the schema here. */
import { readFile, writeFile } from "node:fs/promises";

import * as z from "zod";

const MeasuredSchema = z.object({
  name: z.string(),
  kind: z.enum(["warren", "peer", "limit"]),
  setup: z.string().optional(),
  figures: z.record(z.string(), z.array(z.number()).min(1)),
  distribution: z.array(z.tuple([z.number(), z.number()])).optional(),
});
const TargetSchema = z.object({
  id: z.string(),
  what: z.string(),
  value: z.number(),
  low: z.number(),
  high: z.number(),
  unit: z.string(),
  limit: z.number(),
  better: z.enum(["higher", "lower"]),
  met: z.boolean(),
});
const CaseResultSchema = z.object({
  name: z.string(),
  title: z.string(),
  yardstick: z.string(),
  metrics: z.record(z.string(), z.object({ unit: z.string(), better: z.enum(["higher", "lower"]) })),
  scenarios: z.array(
    z.object({ scenario: z.string(), parameters: z.record(z.string(), z.unknown()), contenders: z.array(MeasuredSchema) }),
  ),
  targets: z.array(TargetSchema),
});
export const RunResultsSchema = z.object({
  schema: z.literal(1),
  mode: z.enum(["full", "smoke"]),
  /** Commit of the tree that was measured, with "+" when files had been changed since. */
  commit: z.string(),
  startedAt: z.iso.datetime(),
  durationS: z.number(),
  rounds: z.int().positive(),
  machine: z.object({ node: z.string(), v8: z.string(), os: z.string(), cpu: z.string(), cores: z.int(), memoryGiB: z.number() }),
  cases: z.array(CaseResultSchema),
});
export type RunResults = z.output<typeof RunResultsSchema>;
export type CaseResult = RunResults["cases"][number];

export async function writeResults(path: string, results: RunResults): Promise<void> {
  const rounded = JSON.stringify(results, (_, value: unknown) => (typeof value === "number" ? Number(value.toPrecision(6)) : value), 1);
  // A row of rounds on one line: the file is read by people too.
  await writeFile(path, `${rounded.replaceAll(/\[\s+([-\d.,e+\s]+?)\s+\]/g, (_, row: string) => `[${row.replaceAll(/\s+/g, " ")}]`)}\n`);
}

/** @throws Error naming the file and what is wrong with it */
export async function readResults(path: string): Promise<RunResults> {
  const parsed = RunResultsSchema.safeParse(await readJson(path));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new Error(`${path} holds no results: ${issue?.path.join(".") || "the whole"}: ${issue?.message}`);
}

async function readJson(path: string): Promise<unknown> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new Error(error.code === "ENOENT" ? `there is no ${path}` : `${path} cannot be read: ${error.message}`, { cause: error });
  });
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`${path} is not JSON: ${(error as Error).message.replaceAll(/\s+/g, " ")}`, { cause: error });
  }
}
