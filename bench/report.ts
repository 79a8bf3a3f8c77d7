/** `npm run bench:report [FILE]`: writes the README's measured section and the charts from the results of a run. */
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import { Command } from "commander";

import { readResults } from "./harness/results.ts";
import { chartsOf } from "./report/charts.ts";
import { withSection } from "./report/markdown.ts";
import { measuredSection, SECTION } from "./report/measured-section.ts";

/** Built into dist/bench, so two levels below the top. */
const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const CHARTS = "bench/results/charts/";

const program = new Command("bench:report")
  .description("Write the README's measured section and the charts from the results of a run.")
  .argument("[results]", "what to read", `${ROOT}bench/results/latest.json`)
  .action(report);

async function report(path: string): Promise<void> {
  const results = await readResults(path).catch((error: Error) => program.error(`error: ${error.message}`, { exitCode: 2 }));
  if (results.mode !== "full") program.error(`error: ${path} is of a smoke run, which has too few rounds to report`, { exitCode: 2 });
  const charts = chartsOf(results);
  await mkdir(ROOT + CHARTS, { recursive: true });
  const old = (await readdir(ROOT + CHARTS)).filter((file) => file.endsWith(".svg"));
  for (const file of old) await rm(ROOT + CHARTS + file); // one whose case is gone must not stay
  for (const { file, svg } of charts) await writeFile(ROOT + CHARTS + file, svg);
  const readme = await readFile(`${ROOT}README.md`, "utf8");
  await writeFile(`${ROOT}README.md`, withSection(readme, SECTION, measuredSection(results, charts, CHARTS)));
  console.log(`README.md and ${charts.length} charts in ${CHARTS} are written from ${path}`);
}

await program.parseAsync();
