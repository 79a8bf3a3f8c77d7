/** Settings of `warren serve`: where a value comes from, and how a wrong one is told. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, describe, expect, test } from "vitest";

import { UsageError } from "../../src/cli/command-io.ts";
import { loadServeConfig } from "../../src/cli/serve-config.ts";
import { SETTING_NAMES, envName, flagName, flagUsage, settingOf } from "../../src/cli/serve-settings.ts";

const folder = mkdtempSync(join(tmpdir(), "warren-config-"));
afterAll(() => rmSync(folder, { recursive: true }));
let files = 0;
/** @returns the path of a configuration file with this content */
function written(content: unknown): string {
  const path = join(folder, `config-${files++}.json`);
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

interface Said {
  flags?: Record<string, unknown>;
  env?: Record<string, string>;
  file?: unknown;
}
const load = ({ flags = {}, env = {}, file }: Said) =>
  loadServeConfig({ flags, env, file: file === undefined ? written({}) : written(file) });
function refusal(said: Said): string {
  try {
    load(said);
  } catch (error) {
    if (error instanceof UsageError) return error.message.replace(/^.*(?=config-\d+\.json)/, "").replace(/^config-\d+/, "config");
    throw error;
  }
  throw new Error("it was not refused");
}

describe("C1: a setting has one name", () => {
  test("of which the environment's and the flag's follow", () => {
    expect([envName("maxSessions"), flagName("maxSessions"), flagUsage("maxSessions"), envName("host")]).toEqual([
      "WARREN_MAX_SESSIONS",
      "--max-sessions",
      "--max-sessions <n>",
      "WARREN_HOST",
    ]);
  });

  test("and each standard is one that the schema takes", () => {
    const standards = Object.fromEntries(
      SETTING_NAMES.flatMap((name) => {
        const { standard } = settingOf(name);
        return standard === undefined ? [] : [[name, standard]];
      }),
    );
    const { values, origins } = load({ file: { store: "s", ...standards } });
    expect(values).toEqual({ ...load({}).values, store: join(folder, "s") });
    expect(new Set(Object.values(load({}).origins))).toEqual(new Set(["default"]));
    expect(origins.port).toMatch(/config-\d+\.json$/);
  });
});

describe("C2: what counts", () => {
  test("flags before environment before file before what is standard", () => {
    const file = { host: "::1", port: 1, maxSessions: 3, drainMs: 9 };
    const env = { WARREN_PORT: "2", WARREN_MAX_SESSIONS: "4", WARREN_HOST: "" };
    const { values, origins } = load({ flags: { port: "3" }, env, file });
    expect(values).toMatchObject({ host: "::1", port: 3, maxSessions: 4, drainMs: 9, lanes: "auto" });
    expect(origins).toMatchObject({
      port: "option '--port <n>'",
      maxSessions: "environment variable WARREN_MAX_SESSIONS",
      host: expect.stringMatching(/config-\d+\.json$/),
      lanes: "default",
    });
  });

  test("agents: one text or a list; in the environment with commas, as flags several", () => {
    expect(load({ file: { agent: "echo" } }).values.agent).toEqual(["echo"]);
    expect(load({ env: { WARREN_AGENT: "a=echo, b=interpreter" } }).values.agent).toEqual(["a=echo", "b=interpreter"]);
    expect(load({ flags: { agent: ["a=echo"] } }).values.agent).toEqual(["a=echo"]);
  });

  test("paths of a file are taken from its folder, those of flags and environment as they are", () => {
    mkdirSync(join(folder, "agents"));
    writeFileSync(join(folder, "agents/mine.mjs"), "");
    const { values } = load({ file: { store: "data", agent: ["a=agents/mine.mjs", "b=some-package"] } });
    expect([values.store, values.agent]).toEqual([join(folder, "data"), [`a=${join(folder, "agents/mine.mjs")}`, "b=some-package"]]);
    expect(load({ flags: { store: "data" } }).values.store).toBe("data");
    const jwksOf = (jwks: string) => load({ file: { jwks, jwtIssuer: "i" } }).values.jwks;
    expect(["jwks.json", "https://i.example/jwks", "http:jwks"].map(jwksOf)).toEqual([
      join(folder, "jwks.json"),
      "https://i.example/jwks",
      "http:jwks",
    ]);
  });

  test("the file is named by --config, or by WARREN_CONFIG", () => {
    const path = written({ port: 5 });
    expect(loadServeConfig({ flags: {}, env: { WARREN_CONFIG: path } }).values.port).toBe(5);
    expect(loadServeConfig({ flags: {}, env: { WARREN_CONFIG: "missing.json" }, file: path }).values.port).toBe(5);
    expect(() => loadServeConfig({ flags: {}, env: {}, file: "missing.json" })).toThrow(
      /^cannot read the configuration missing\.json: ENOENT/,
    );
  });
});

describe("C3: a wrong value is refused with its origin and its name", () => {
  test.each<[Said, string]>([
    [{ flags: { port: "x" } }, "option '--port <n>': must be a whole number from 0 to 65535"],
    [{ flags: { port: "65536" } }, "option '--port <n>': must be a whole number from 0 to 65535"],
    // Clients take a stream that is silent for a minute for cut.
    [{ flags: { heartbeatMs: "30001" } }, "option '--heartbeat-ms <n>': must be a whole number from 1 to 30000"],
    [{ flags: { lanes: "0" } }, "option '--lanes <n>': must be a whole number from 1 to 512, or auto"],
    [{ flags: { agent: ["a=echo", "b"] } }, "option '--agent <agent>': must be name=module each, when there are several"],
    [{ flags: { agent: ["a=echo", "a=interpreter"] } }, "option '--agent <agent>': must not name an agent twice"],
    [{ env: { WARREN_PORT: "80a" } }, "environment variable WARREN_PORT: must be a whole number from 0 to 65535"],
    [{ env: { WARREN_LATENCY: "high" } }, "environment variable WARREN_LATENCY: must be one of balanced, low"],
    [{ env: { WARREN_PORT: "80a" }, flags: { port: "80" } }, "environment variable WARREN_PORT: must be a whole number from 0 to 65535"],
    [{ env: { WARREN_AGENT: "a=echo,," } }, "environment variable WARREN_AGENT: 1: must not be empty"],
    [{ file: { port: "80" } }, "config.json: port: must be a whole number from 0 to 65535"],
    [{ file: { agent: ["a=echo", 7] } }, "config.json: agent.1: must be a text"],
    [{ file: { prot: 80 } }, "config.json: prot: is not a known setting"],
    [{ file: { $schema: "x" } }, "config.json: $schema: is not a known setting"],
    [{ file: [] }, "config.json: must be an object"],
    [{ file: { archivePolicy: "delete" } }, "config.json: archivePolicy is of no use without store"],
    [{ flags: { durability: "commit" } }, "option '--durability <level>': durability is of no use without store"],
  ])("%j", (said, message) => {
    expect(refusal(said)).toBe(message);
  });

  test("a file that is no JSON", () => {
    expect(refusal({ file: "{port: 80}" })).toMatch(/^config\.json: is not JSON: /);
  });
});
