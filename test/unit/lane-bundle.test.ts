/** What a lane loads (docs/decisions/0013): few files, one copy of what lane and agents share, and the licences of what is in them. */
import { readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

/** Of the thread, and what agents import: `warren/agent`. */
const ENTRIES = ["workers/lane.js", "src/agent.js"];
const DIST = fileURLToPath(new URL("../../dist", import.meta.url));

interface Loaded {
  readonly files: ReadonlySet<string>;
  readonly packages: ReadonlySet<string>;
}

/** @returns what is loaded with a file of dist/, itself among it */
function loadedWith(entry: string, files = new Set<string>(), packages = new Set<string>()): Loaded {
  files.add(entry);
  for (const [, target = ""] of readFileSync(join(DIST, entry), "utf8").matchAll(/^(?:import|export)\b[^"';]*?["']([^"']+)["'];?$/gm)) {
    const file = normalize(join(dirname(entry), target));
    if (!target.startsWith(".")) packages.add(target);
    else if (!files.has(file)) loadedWith(file, files, packages);
  }
  return { files, packages };
}

describe("what a lane loads", () => {
  test.each(ENTRIES)("%s is a few files", (entry) => {
    expect(loadedWith(entry).files.size).toBeLessThanOrEqual(4);
  });

  test.each(ENTRIES)("%s looks for no package", (entry) => {
    expect([...loadedWith(entry).packages].filter((name) => !name.startsWith("node:") && name !== "module")).toEqual([]);
  });

  test("lane and agents share one copy of every module", () => {
    const copies = new Map<string, string[]>();
    for (const file of new Set(ENTRIES.flatMap((entry) => [...loadedWith(entry).files]))) {
      for (const source of sourcesOf(file)) copies.set(source, [...(copies.get(source) ?? []), file]);
    }
    expect(copies.size).toBeGreaterThan(80);
    expect([...copies].filter(([, files]) => files.length > 1)).toEqual([]);
  });

  test("the licence of every package in the bundles is with them", () => {
    const text = readFileSync(join(DIST, "workers/LICENSES.txt"), "utf8");
    const sources = ENTRIES.flatMap((entry) => [...loadedWith(entry).files]).flatMap(sourcesOf);
    const packages = new Set(sources.flatMap((source) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(source)?.[1] ?? []));
    expect([...packages].toSorted()).toEqual(["comlink", "msgpackr", "zod"]);
    for (const name of packages) expect(text).toMatch(new RegExp(`^${name} \\d`, "m"));
    expect(text).toMatch(/^MIT License/m);
    expect(text).toMatch(/Apache License/);
  });
});

/** @returns the modules a bundle is made of, relative to it */
function sourcesOf(file: string): string[] {
  const map = JSON.parse(readFileSync(join(DIST, `${file}.map`), "utf8")) as { sources: string[] };
  return map.sources.map((source) => normalize(join(dirname(file), source)));
}
