/** Agent modules: what loads, what does not and how that is said, several of them, and what a lane shows to them. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

import { afterAll, beforeAll, expect, test } from "vitest";

import { EphemeralSessionService, builtinAgents } from "../../dist/src/index.js";
import { RECORDING, SCRIPTED, codeOf, deferred, errorOf, hosts, script, settled, until } from "../helpers/hosts.ts";

const openHost = hosts();
const fixture = (name: string): URL => new URL(`../fixtures/${name}`, import.meta.url);
const AGENT_JS = new URL("../../dist/src/agent.js", import.meta.url).href;

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "warren-agents-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A module of its own. @returns its URL */
async function moduleOf(name: string, source: string): Promise<URL> {
  const path = join(folder, name);
  await writeFile(path, source);
  return pathToFileURL(path);
}

test.each([
  ["does not exist", "missing.mjs", /missing\.mjs|not found|Cannot find/i],
  ["has no default export", "no-default.mjs", /default export/],
  ["exports a bare function", "wrong-default.mjs", /SessionAgentBuilder/],
  ["throws while it is loaded", "throws-at-load.mjs", /cannot be loaded today/],
])("C1: open fails for an agent module that %s, naming it and the reason", async (_, name, reason) => {
  const module = fixture(name);
  const error = await errorOf(settled(EphemeralSessionService.open({ agent: { good: SCRIPTED, bad: module }, lanes: { count: 2 } })));
  expect(error).toMatchObject({
    code: "INVALID_PARAMS",
    details: { field: "options.agent", agent: "bad", module: module.href, reason: expect.stringMatching(reason) },
  });
  expect(error.message).toContain(module.href);
  expect(error.message).toMatch(reason);
});

test("C1: open fails for an agent module with a syntax error", async () => {
  const module = await moduleOf("broken.mjs", "export default {");
  expect(await errorOf(EphemeralSessionService.open({ agent: module, lanes: { count: 1 } }))).toMatchObject({
    code: "INVALID_PARAMS",
    details: { agent: "default", module: module.href },
  });
});

test("C1, G6: open fails for an agent module that ends its thread", async () => {
  const error = await errorOf(settled(EphemeralSessionService.open({ agent: fixture("exits-at-load.mjs"), lanes: { count: 2 } })));
  expect(error).toMatchObject({ code: "INVALID_PARAMS", details: { field: "options.agent" } });
});

test("C1: a package that is not installed is named", async () => {
  const error = await errorOf(EphemeralSessionService.open({ agent: "no-such-package-of-agents", lanes: { count: 1 } }));
  expect(error).toMatchObject({ code: "INVALID_PARAMS", message: expect.stringContaining("no-such-package-of-agents") });
});

test("C1: an agent in TypeScript loads where Node strips types, and is refused clearly where it does not", async () => {
  const strips = "typescript" in process.features && Boolean(process.features.typescript);
  const outcome = await EphemeralSessionService.open({ agent: fixture("typed-agent.ts"), lanes: { count: 1 } }).then(
    async (service) => {
      await using host = service;
      return (await host.createSession({ prompt: "x" })).text;
    },
    (error: Error) => error.message,
  );
  expect(outcome).toMatch(strips ? /^typed: x$/ : /typed-agent\.ts.*does not strip types/);
});

test("C1: a module may be a URL, its text, a path, or a relative path", async () => {
  const path = fileURLToPath(SCRIPTED);
  const agents = { url: SCRIPTED, text: SCRIPTED.href, path, relative: `./${relative(process.cwd(), path)}` };
  const service = await openHost({ agent: agents });
  for (const agent of Object.keys(agents)) {
    const { text } = await service.createSession({ agent, prompt: script(["see", "state"]) });
    expect(JSON.parse(text)).toMatchObject({ state: { agentName: agent } });
  }
});

test("C1: several agents in one host; a create names one, unless one is called default", async () => {
  const service = await openHost({ agent: { scripted: SCRIPTED, recording: RECORDING } });
  expect((await service.createSession({ agent: "recording", prompt: "request" })).text).toContain('"agentName":"recording"');
  expect(await errorOf(service.createSession({ prompt: "x" }))).toMatchObject({
    code: "INVALID_PARAMS",
    message: expect.stringContaining("scripted, recording"),
  });
  const withDefault = await openHost({ agent: { other: RECORDING, default: SCRIPTED } });
  expect(JSON.parse((await withDefault.createSession({ prompt: script(["see", "state"]) })).text)).toMatchObject({
    state: { agentName: "default" },
  });
  const only = await openHost({ agent: { single: SCRIPTED } });
  expect(JSON.parse((await only.createSession({ prompt: script(["see", "state"]) })).text)).toMatchObject({
    state: { agentName: "single" },
  });
});

test("A1: the echo agent that ships answers with its prompt", async () => {
  const service = await openHost({ agent: builtinAgents.echo });
  const events: unknown[] = [];
  const { text } = await service.createSession({ prompt: "hello", onEvent: ({ payload }) => void events.push(payload) });
  expect({ text, events }).toEqual({ text: "hello", events: [{ type: "text_delta", delta: "hello" }] });
});

test("C1: lanes show agents only the environment the operator named", async () => {
  const agent = await moduleOf(
    "env.mjs",
    `import { defineAgent } from ${JSON.stringify(AGENT_JS)}; export default defineAgent(({ prompt }) => String(process.env[prompt]));`,
  );
  process.env["WARREN_TEST_SECRET"] = "secret";
  try {
    const service = await openHost({ agent, lanes: { count: 1, env: { SHOWN: "yes" } } });
    const id = await deferred(service);
    const shown = async (name: string): Promise<string> => (await service.startTurn(id, { prompt: name })).text;
    expect({ shown: await shown("SHOWN"), secret: await shown("WARREN_TEST_SECRET"), path: await shown("PATH") }).toEqual({
      shown: "yes",
      secret: "undefined",
      path: "undefined",
    });
  } finally {
    delete process.env["WARREN_TEST_SECRET"];
  }
});

test.each([
  ["nothing", "undefined"],
  ["no turn", "{ setup() {} }"],
  ["a setup that is no function", "{ turn() {}, setup: 1 }"],
  ["tools that are no names", "{ turn() {}, tools: [1] }"],
])("C1: defineAgent refuses %s, and open says so", async (name, definition) => {
  const agent = await moduleOf(
    `bad-${name.replaceAll(" ", "-")}.mjs`,
    `import { defineAgent } from ${JSON.stringify(AGENT_JS)}; export default defineAgent(${definition});`,
  );
  expect(await errorOf(EphemeralSessionService.open({ agent, lanes: { count: 1 } }))).toMatchObject({
    code: "INVALID_PARAMS",
    message: expect.stringContaining("defineAgent"),
  });
});

test("C1: setup runs once per session, its state lives on, and dispose gets it", async () => {
  const agent = await moduleOf(
    "stateful.mjs",
    `import { defineAgent } from ${JSON.stringify(AGENT_JS)};
     const disposed = [];
     export default defineAgent({
       setup: async ({ request }) => ({ name: request.model, turns: 0 }),
       turn: ({ state, prompt }) => prompt === "disposed" ? JSON.stringify(disposed) : state.name + ++state.turns,
       dispose: async (state) => void disposed.push(state.name),
     });`,
  );
  const service = await openHost({ agent });
  const [a, b] = [await deferred(service, { model: "a" }), await deferred(service, { model: "b" })];
  const texts: string[] = [];
  for (const id of [a, b, a]) texts.push((await service.startTurn(id, { prompt: "x" })).text);
  expect(texts).toEqual(["a1", "b1", "a2"]);
  await service.archive(a);
  expect(JSON.parse((await service.startTurn(b, { prompt: "disposed" })).text)).toEqual(["a"]);
});

test("C5: what a module throws where nobody can catch it, while it loads, is told as soon as it is loaded; the first 64 of it", async () => {
  const agent = await moduleOf(
    "strays-at-load.mjs",
    `import { defineAgent } from ${JSON.stringify(AGENT_JS)};
     for (let n = 0; n < 70; n++) Promise.reject(new Error("stray " + n));
     setTimeout(() => { throw new Error("never told"); }, 1);
     await new Promise((resolve) => setTimeout(resolve, 20));
     export default defineAgent(({ prompt }) => prompt);`,
  );
  const told: string[] = [];
  const logger = { info: () => {}, warn: (fields: object) => void told.push(JSON.stringify(fields)), error: () => {} };
  const service = await openHost({ agent, logger });
  await until("they are told", () => service.inspect().lanes[0]?.strayErrors === 64);
  expect(await codeOf(service.createSession({ prompt: "x" }))).toBe("ok");
  expect([told.filter((line) => line.includes("stray ")).length, told[0]?.includes("stray 0"), service.inspect().lanesLost]).toEqual([
    64,
    true,
    0,
  ]);
});

test("P3: a lane that is started again and hangs while it loads takes no session from others, and is killed in time", async () => {
  const hangs = join(folder, "hangs");
  const agent = await moduleOf(
    "hangs-at-load.mjs",
    `import { existsSync } from "node:fs";
     import { defineAgent } from ${JSON.stringify(AGENT_JS)};
     if (existsSync(${JSON.stringify(hangs)})) await new Promise(() => {});
     export default defineAgent(({ prompt }) => prompt === "exit" ? process.exit(1) : prompt);`,
  );
  const service = await openHost({ agent, lanes: { count: 2 }, buildTimeoutMs: 1000 });
  await writeFile(hangs, "");
  expect(await codeOf(service.createSession({ prompt: "exit" }))).toBe("AGENT_ERROR");
  await until("it is loading", () => service.inspect().lanes.some(({ state }) => state === "starting"));
  for (let i = 0; i < 4; i++) expect(await codeOf(settled(service.createSession({ prompt: "x" })))).toBe("ok");
  await until("it is killed", () => service.inspect().lanesLost === 2);
  await rm(hangs);
  await until("both are up", () => service.inspect().lanes.filter(({ state }) => state === "ready").length === 2);
  expect(service.inspect().events).toMatchObject({ lane_killed: 1, lane_lost: 2, lane_restarted: 1 });
});

test("A9: with latency low everything works the same", async () => {
  const service = await openHost({ latency: "low", lanes: { count: 2 } });
  const ids = await Promise.all(Array.from({ length: 6 }, () => deferred(service)));
  const codes = await settled(
    Promise.all(
      ids.flatMap((id) => [
        codeOf(service.startTurn(id, { prompt: script(["emit", 400]), onEvent: () => {} })),
        codeOf(service.startTurn(id, { prompt: "x" })),
      ]),
    ),
  );
  expect(codes).toEqual(ids.flatMap(() => ["ok", "SESSION_BUSY"]));
});
