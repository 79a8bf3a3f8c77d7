/** What the documents point at is there. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const documents = [
  "README.md",
  "examples/README.md",
  "bench/README.md",
  ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" }).map((name) => join("docs", name)),
].filter((name) => name.endsWith(".md"));

test.each(documents)("every file and link that %s names exists", (name) => {
  const text = readFileSync(join(root, name), "utf8");
  const paths = [...text.matchAll(/`((?:src|workers|test|bench|docs|examples)\/[\w./-]+)`/g)].map(([, path]) => join(root, path as string));
  // Architecture names files by their layer: `host/supervisor.ts`.
  const layered = [...text.matchAll(/`((?:protocol|core|transport|lane|store|host|agents|cli)\/[\w-]+\.ts)`/g)].map(([, path]) =>
    join(root, "src", path as string),
  );
  const links = [...text.matchAll(/\]\(([^)#:]+)\)/g)].map(([, path]) => join(root, dirname(name), path as string));
  expect([...paths, ...layered, ...links].filter((path) => !existsSync(path) && !LATER.some((later) => path.endsWith(later)))).toEqual([]);
});

/** Places that docs/architecture.md keeps for parts to come. */
const LATER = ["src/server"];

test.each(["README.md", "bench/README.md"])("npm scripts that %s names exist", (name) => {
  const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: Record<string, string> };
  const named = [...readFileSync(join(root, name), "utf8").matchAll(/npm run ([\w:]+)/g)].map(([, script]) => script as string);
  expect(named.length).toBeGreaterThan(3);
  expect(named.filter((script) => !(script in scripts))).toEqual([]);
});

test("bench/README.md says of every case what it measures", () => {
  const sources = readdirSync(join(root, "bench/cases")).map((file) => readFileSync(join(root, "bench/cases", file), "utf8"));
  const cases = sources.flatMap((source) =>
    [...source.matchAll(/= defineCase(?:<[^>]*>)?\(\{\s+name: "([\w-]+)"/g)].map(([, name]) => name),
  );
  expect(cases.length).toBeGreaterThan(0);
  const described = [...readFileSync(join(root, "bench/README.md"), "utf8").matchAll(/^\| `([\w-]+)` /gm)].map(([, name]) => name);
  expect(cases.filter((name) => !described.includes(name))).toEqual([]);
});
