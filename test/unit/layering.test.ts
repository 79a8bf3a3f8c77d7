/** The layers of docs/architecture.md, and who alone may name what. Imports are read from the source, `import type` apart from the rest. */
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../../src", import.meta.url));

/** Lowest first; layers of one rank do not see each other. */
const RANKS: readonly (readonly string[])[] = [
  ["protocol"],
  ["core"],
  ["transport"],
  ["lane", "store", "runtime"],
  ["host"],
  ["server"],
  ["cli"],
];
/** Not in that order: code that browsers load as it is. */
const BROWSER = ["client", "dashboard"];
const rankOf = (layer: string): number => RANKS.findIndex((rank) => rank.includes(layer));

interface Import {
  readonly file: string;
  readonly target: string;
  readonly isTypeOnly: boolean;
  readonly isDynamic: boolean;
}

const files = readdirSync(ROOT, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts"))
  .map((name) => name.split(sep).join("/"));
const source = new Map(files.map((file) => [file, readFileSync(join(ROOT, file), "utf8")]));

/** Static and dynamic imports and re-exports. `import { type A }` alone counts as a value import: it loads the module. */
const IMPORT = /^(?:import|export)\s+(type\s)?[^;"']*?from\s*"([^"]+)"|^import\s*"([^"]+)"|\bimport\(\s*"([^"]+)"/gm;
const imports: Import[] = [...source].flatMap(([file, text]) =>
  [...text.matchAll(IMPORT)].map(([, type, from, bare, dynamic]) => ({
    file,
    target: from ?? bare ?? (dynamic as string),
    isTypeOnly: type !== undefined,
    isDynamic: dynamic !== undefined,
  })),
);

/** Path of an imported file under src, or undefined for a package. */
const resolved = ({ file, target }: Import): string | undefined =>
  target.startsWith(".")
    ? relative(ROOT, join(ROOT, dirname(file), target))
        .split(sep)
        .join("/")
    : undefined;
const layerOf = (path: string): string => (path.includes("/") ? (path.split("/")[0] as string) : "");
const show = (entry: Import): string => `${entry.file} -> ${resolved(entry) ?? entry.target}`;

/** @returns files under src and packages that are loaded with a file, itself among them */
const loadedBy = (start: string): string[] => {
  const seen = new Set([start]);
  for (const file of seen) {
    for (const entry of imports)
      if (entry.file === file && !entry.isTypeOnly && !entry.isDynamic) seen.add(resolved(entry) ?? entry.target);
  }
  return [...seen];
};

const between = (from: string, to: string): Import[] =>
  imports.filter((entry) => layerOf(entry.file) === from && layerOf(resolved(entry) ?? "") === to);
const naming = (word: RegExp): string[] => [...source].filter(([, text]) => word.test(withoutComments(text))).map(([file]) => file);
const withoutComments = (text: string): string => text.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/(^|\s)\/\/.*$/gm, "");
const importersOf = (name: string): string[] => [
  ...new Set(imports.filter(({ target }) => target === name || target.startsWith(`${name}/`)).map(({ file }) => file)),
];

describe("layers", () => {
  test("the sources are found, and their imports are read", () => {
    expect(files).toEqual(expect.arrayContaining(["index.ts", "core/machines.ts", "host/session-host.ts"]));
    const found = imports
      .filter(({ file }) => file === "host/lane-thread.ts")
      .map(({ target, isTypeOnly }) => `${isTypeOnly ? "type " : ""}${target}`);
    expect(found).toEqual(expect.arrayContaining(["piscina", "type ../lane/run-lane.ts"]));
  });

  test("every folder is a layer, or agents, or for browsers", () => {
    const folders = new Set(files.map(layerOf).filter((layer) => !["", "agents", ...BROWSER].includes(layer)));
    expect([...folders].filter((layer) => rankOf(layer) < 0)).toEqual([]);
  });

  test("imports only point down", () => {
    const upward = imports.filter((entry) => {
      const target = resolved(entry);
      const from = layerOf(entry.file);
      if (target === undefined || rankOf(from) < 0) return false;
      // The server and the command line are users of the library: they may take its front door and the list of agents that ship.
      if (target === "index.ts" || target === "agents/index.ts") return from !== "server" && from !== "cli";
      if (target === "client/index.ts") return from !== "cli";
      // The command line is a client, too.
      const to = layerOf(target);
      return from !== to && (rankOf(to) < 0 || rankOf(to) >= rankOf(from));
    });
    expect(upward.map(show)).toEqual([]);
  });

  test("what runs in browsers imports no part of Node: the client takes types from the protocol, the dashboard takes the client", () => {
    const foreign = imports.filter((entry) => {
      const from = layerOf(entry.file);
      if (!BROWSER.includes(from)) return false;
      const target = resolved(entry);
      if (target === undefined) return !["eventsource-parser", "uplot"].includes(entry.target);
      const to = layerOf(target);
      return from !== to && !(from === "client" ? to === "protocol" && entry.isTypeOnly : target === "client/index.ts");
    });
    expect(foreign.map(show)).toEqual([]);
    expect(naming(/\b(Buffer|process|setImmediate|NodeJS|AbortSignal\.any)\b/).filter((file) => BROWSER.includes(layerOf(file)))).toEqual(
      [],
    );
  });

  test("agents import what an agent's author imports, and each other", () => {
    const foreign = imports.filter((entry) => {
      const target = resolved(entry);
      return layerOf(entry.file) === "agents" && target !== undefined && target !== "agent.ts" && layerOf(target) !== "agents";
    });
    expect(foreign.map(show)).toEqual([]);
  });

  test("the host knows agents by name only", () => {
    expect(between("host", "agents").map(show)).toEqual([]);
  });

  test("the host takes types from the lane, nothing that runs", () => {
    expect(
      between("host", "lane")
        .filter(({ isTypeOnly }) => !isTypeOnly)
        .map(show),
    ).toEqual([]);
  });

  test("what an agent's author imports does not load the host", () => {
    expect(loadedBy("agent.ts").filter((name) => ["host", "server", "cli", "store"].includes(layerOf(name)))).toEqual([]);
  });

  test.each([
    "store/run-store.ts",
    "store/lmdb-open.ts",
    "cli/main.ts",
    "cli/sessions-read.ts",
    "cli/sessions-change.ts",
    "cli/completion.ts",
  ])("%s starts without the schemas, which take longer to load than all else of it", (file) => {
    expect(loadedBy(file)).not.toContain("zod");
    expect(loadedBy("cli/run-command.ts")).toContain("zod");
  });
});

describe("who alone may name what", () => {
  test("Atomics: core, and there the files of the shared words", () => {
    expect(naming(/\bAtomics\b(?!")/).sort()).toEqual([
      "core/lane-words.ts",
      "core/slot-summary.ts",
      "core/slot-table.ts",
      "core/turn-lock.ts",
    ]);
  });

  test("the words of a slot are spelled in core only", () => {
    const users = imports
      .filter((entry) => resolved(entry) === "core/slot-layout.ts" && layerOf(entry.file) !== "core")
      .map(({ file }) => file);
    const spelled = users.filter((file) =>
      /\b(LOCK|VERDICT|BOUNDARY_CANCEL|GENERATION|SUBSCRIBERS|VERSION|SUMMARY_WORDS)\b/.test(withoutComments(source.get(file) ?? "")),
    );
    expect(spelled).toEqual([]);
  });

  test.each([
    ["msgpackr", ["transport/codec.ts"]],
    ["piscina", ["host/lane-thread.ts"]],
    ["comlink", ["transport/comlink-port.ts"]],
    ["lmdb", ["store/lmdb-env.ts"]],
  ])("%s", (name, owners) => {
    expect(importersOf(name)).toEqual(owners);
  });

  test("core has no clock, no timers and no input or output of its own", () => {
    const core = imports.filter((entry) => layerOf(entry.file) === "core" && resolved(entry) === undefined);
    expect(core.map(show)).toEqual([]);
    expect(
      naming(/\b(Date\.now|performance\.now|setTimeout|setInterval|setImmediate|process)\b/).filter((file) => layerOf(file) === "core"),
    ).toEqual([]);
  });
});
