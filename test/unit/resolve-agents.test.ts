import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";

import { DEFAULT_AGENT, resolveAgents } from "../../src/host/resolve-agents.ts";

const only = (agent: string | URL): string | undefined => resolveAgents(agent)[DEFAULT_AGENT];

describe("resolveAgents", () => {
  test("a single agent has the default name", () => {
    expect(resolveAgents(new URL("file:///agents/a.js"))).toEqual({ [DEFAULT_AGENT]: "file:///agents/a.js" });
  });

  test("several keep their names, also odd ones", () => {
    const agents = JSON.parse('{"a":"node:a","__proto__":"node:b","constructor":"node:c"}') as Record<string, string>;
    expect(Object.entries(resolveAgents(agents))).toEqual([
      ["a", "node:a"],
      ["__proto__", "node:b"],
      ["constructor", "node:c"],
    ]);
  });

  test.each(["file:///agents/a.js", "data:text/javascript,export default 1", "node:fs"])("%s is a specifier already", (specifier) => {
    expect(only(specifier)).toBe(specifier);
  });

  test.each(["./agents/a.js", "../a.js", "/agents/a b.js"])("the path %s becomes a file URL, seen from the working directory", (path) => {
    expect(only(path)).toBe(pathToFileURL(resolve(path)).href);
  });

  test("a package is looked up from the working directory", () => {
    expect(only("zod")).toMatch(/^file:\/\/.*\/node_modules\/zod\/.*js$/);
  });

  test("a specifier that nobody knows stays as it is: the lane says what is wrong with it", () => {
    expect(only("no-such-package-here")).toBe("no-such-package-here");
  });
});
