import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { format } from "oxfmt";
import { describe, expect, test } from "vitest";

import type { CaseResult } from "../../bench/harness/results.ts";
import { readResults } from "../../bench/harness/results.ts";
import { chartsOf } from "../../bench/report/charts.ts";
import { markdownTable, withSection } from "../../bench/report/markdown.ts";
import { measuredSection, SECTION } from "../../bench/report/measured-section.ts";
import { around, contender, interference, loneTurn, noopTurns, run } from "./support/bench-results.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const CHARTS = "bench/results/charts/";
const whole = () => run([noopTurns(), loneTurn(), interference()]);

describe("the measured section", () => {
  test("says where it was measured, every target and how it came out, the peers, and shows the charts", () => {
    const results = whole();
    expect(measuredSection(results, chartsOf(results), CHARTS)).toMatchInlineSnapshot(`
      "Commit 0123456789, Node v20.20.0, A CPU, 2 cores, 3 rounds, 2026-01-02. Every figure is the median of the rounds, with the lowest and the highest; how they come about, and what they do not say: [bench/README.md](bench/README.md).

      1 of 2 targets met:

      |     | what                       | target   | measured             |            |
      | --- | -------------------------- | -------- | -------------------- | ---------- |
      | P1  | no-op turns/s over piscina | ≥ 5 ×    | 4.4 × (4.2 to 4.6)   | **missed** |
      | P3  | p50 over a bare echo       | ≤ 1.15 × | 1.11 × (1.08 to 1.2) | met        |

      No-op turns a second, 4,096 in flight, 10,000 sessions:

      |                     |                         | turns/s                            | warren balanced is       | set up                     |
      | ------------------- | ----------------------- | ---------------------------------- | ------------------------ | -------------------------- |
      | warren balanced     |                         | 417,864 (409,507 to 426,222)       |                          |                            |
      | piscina             | peer                    | 96,000 (94,080 to 97,920)          | 4.35 × (4.35 to 4.35)    | 1 thread, atomics disabled |
      | bare batched frames | limit, no session logic | 1,280,000 (1,254,400 to 1,305,600) | 0.326 × (0.326 to 0.326) |                            |

      ![No-op turns a second, by turns in flight](bench/results/charts/noop-turns-throughput.svg)

      ![One turn at a time: latency](bench/results/charts/lone-turn-latency.svg)

      ![A session in a busy loop beside others](bench/results/charts/interference.svg)"
    `);
  });

  test("of a run without targets and peers is just where it was measured", () => {
    const results = run([{ ...loneTurn(), targets: [], scenarios: [] }], { commit: "0123456789+" });
    const section = measuredSection(results, [], CHARTS);
    expect(section.split("\n")).toHaveLength(1);
    expect(section).toContain("Commit 0123456789 with changes");
  });

  test("counts the rounds there were", () => {
    const longer: CaseResult = {
      ...loneTurn(),
      scenarios: [{ scenario: "one", parameters: {}, contenders: [contender("warren balanced", "warren", { p50Us: [1, 2, 3, 4, 5] })] }],
    };
    expect(measuredSection(run([noopTurns(), longer]), [], CHARTS)).toContain(", 3 to 5 rounds, ");
  });

  test("is as the formatter leaves it", async () => {
    const results = whole();
    const document = withSection(
      `# A\n\n<!-- ${SECTION}:begin -->\n<!-- ${SECTION}:end -->\n\n## B\n`,
      SECTION,
      measuredSection(results, chartsOf(results), CHARTS),
    );
    const { code, errors } = await format("README.md", document, { printWidth: 140 });
    expect(errors).toEqual([]);
    expect(document).toBe(code);
  });

  test("of the README is that of the committed results (update: npm run bench:report)", async () => {
    const latest = `${root}bench/results/latest.json`;
    const readme = readFileSync(`${root}README.md`, "utf8");
    expect(readme).toContain(`<!-- ${SECTION}:begin -->`);
    if (!existsSync(latest)) return;
    const results = await readResults(latest);
    const charts = chartsOf(results);
    expect(readme).toBe(withSection(readme, SECTION, measuredSection(results, charts, CHARTS)));
    expect(charts.filter(({ file }) => !existsSync(root + CHARTS + file))).toEqual([]);
  });
});

describe("a section between markers", () => {
  const document = "# A\n\n<!-- x:begin -->\n\nold\n\n<!-- x:end -->\n\n## B\n";

  test("is replaced, and nothing else", () => {
    const once = withSection(document, "x", "new\n");
    expect(once).toBe("# A\n\n<!-- x:begin -->\n\nnew\n\n<!-- x:end -->\n\n## B\n");
    expect(withSection(once, "x", "new\n")).toBe(once);
  });

  test("needs both markers", () => {
    expect(() => withSection("# A\n", "x", "new")).toThrow("x:begin");
    expect(() => withSection("<!-- x:end --><!-- x:begin -->", "x", "new")).toThrow("x:end");
  });
});

test("a table has its columns aligned, and no cell can break it", () => {
  expect(markdownTable(["", "what"], [["a|b", "c"], ["d"]])).toBe(
    ["|      | what |", "| ---- | ---- |", String.raw`| a\|b | c    |`, "| d    |      |"].join("\n"),
  );
});

describe("charts", () => {
  test("there is one for each of: throughput, latency, interference", () => {
    expect(chartsOf(whole()).map(({ file, title }) => ({ file, title }))).toEqual([
      { file: "noop-turns-throughput.svg", title: "No-op turns a second, by turns in flight" },
      { file: "lone-turn-latency.svg", title: "One turn at a time: latency" },
      { file: "interference.svg", title: "A session in a busy loop beside others" },
    ]);
  });

  test("are the same bytes for the same results", () => {
    const [first, second] = [chartsOf(whole()), chartsOf(whole())];
    expect(second).toEqual(first);
  });

  test("are pictures on white, with every contender's name", () => {
    for (const { svg } of chartsOf(whole())) {
      expect(svg).toMatch(/^<svg [^>]*width="860" height="460"/);
      expect(svg).toContain('fill="#ffffff"');
      expect(svg).toContain("warren balanced");
      expect(svg).not.toContain("NaN");
    }
  });

  test("whose case was not run are left out, and so are their links", () => {
    const results = run([loneTurn()]);
    expect(chartsOf(results).map(({ file }) => file)).toEqual(["lone-turn-latency.svg"]);
    expect(measuredSection(results, chartsOf(results), CHARTS)).not.toContain("throughput");
    expect(chartsOf(run([]))).toEqual([]);
  });

  test("that would have nothing to draw are left out", () => {
    const [noop, lone, hog] = [noopTurns(), loneTurn(), interference()];
    const oneLoad = { ...noop, scenarios: noop.scenarios.slice(0, 1) };
    const noCurves = {
      ...lone,
      scenarios: [{ scenario: "one", parameters: {}, contenders: [contender("warren", "warren", { p50Us: around(5) })] }],
    };
    const quietOnly = { ...hog, scenarios: hog.scenarios.slice(0, 1) };
    expect(chartsOf(run([oneLoad, noCurves, quietOnly]))).toEqual([]);
  });

  test("of a case with several scenarios are told apart by their names", () => {
    const lone = loneTurn();
    const two = ["1 KB prompt", "1 MB prompt"].flatMap((scenario) => lone.scenarios.map((result) => ({ ...result, scenario })));
    expect(chartsOf(run([{ ...lone, scenarios: two }])).map(({ file }) => file)).toEqual([
      "lone-turn-latency-1-kb-prompt.svg",
      "lone-turn-latency-1-mb-prompt.svg",
    ]);
  });
});
