/** The frame trace of a host at work: WARREN_TRACE. */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { afterEach, describe, expect, test, vi } from "vitest";

import { deferred, errorOf, hosts, script } from "../helpers/hosts.ts";
import { persistentHosts } from "../helpers/persistent-hosts.ts";

type Line = Readonly<Record<string, unknown>>;

const open = hosts();
const { open: openPersistent, folder } = persistentHosts();
afterEach(() => vi.unstubAllEnvs());

/** Trace to a file from now on. @returns what it holds */
function traced(): () => Line[] {
  const file = join(folder(), "trace.jsonl");
  vi.stubEnv("WARREN_TRACE", file);
  return () => linesOf(readFileSync(file, "utf8"));
}
const linesOf = (text: string): Line[] =>
  text
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as Line);

describe("WARREN_TRACE names a file", () => {
  test("every record of a turn is a line: what it is, whose, how large, in which frame", async () => {
    const lines = traced();
    const service = await open();
    const id = await deferred(service);
    let ticket = 0;
    await service.startTurn(
      id,
      { prompt: script(["emit", 2], ["return", "a"]), onEvent: () => {} },
      { onAdmitted: (given) => (ticket = given) },
    );
    await errorOf(service.startTurn(id, { prompt: script(["throw", "no"]) }));
    const ofSession = lines().filter(({ session }) => session === id);
    expect(ofSession.map(({ direction, op }) => `${String(direction)} ${String(op)}`)).toEqual(
      expect.arrayContaining(["sent CREATE", "received BUILT", "sent TURN", "received RESULT", "received FAILED"]),
    );
    for (const line of ofSession) {
      expect(line).toMatchObject({
        ms: expect.any(Number),
        port: "lane-0",
        lane: 0,
        slot: 0,
        frame: expect.any(Number),
        bytes: expect.any(Number),
      });
      expect(line["bytes"]).toBeGreaterThan(0);
    }
    expect(ofSession.filter(({ turn }) => turn === ticket).map(({ op }) => op)).toEqual(expect.arrayContaining(["TURN", "RESULT"]));
    const times = lines().map(({ ms }) => Number(ms));
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });

  test("calls to the store are there, and their answers say what they answer", async () => {
    const lines = traced();
    const service = await openPersistent();
    const id = await deferred(service);
    await service.hibernate(id);
    await service.readHistory(id);
    const calls = lines().filter(({ port, method }) => port === "store" && method === "head");
    expect(calls).toMatchObject([
      { direction: "sent", op: "CALL", session: id, request: expect.any(Number) },
      { direction: "received", op: "REPLY", session: id, request: calls[0]?.["request"] },
    ]);
  });

  test("X1: nothing that was said is in it", async () => {
    const lines = traced();
    const service = await openPersistent();
    const id = await deferred(service, { labels: { name: "secret label" } });
    await service.startTurn(id, { prompt: "secret prompt", onEvent: () => {} });
    await service.appendSystemContext(id, { text: "secret context" });
    expect(lines().length).toBeGreaterThan(4);
    expect(JSON.stringify(lines())).not.toContain("secret");
  });

  test("a file that cannot be had is said, and the host runs without a trace", async () => {
    const said = vi.spyOn(process.stderr, "write").mockReturnValue(true);
    try {
      vi.stubEnv("WARREN_TRACE", join(folder(), "no", "such", "folder"));
      const service = await open();
      await service.startTurn(await deferred(service), { prompt: script(["return", "a"]) });
      expect(said.mock.calls.flat().join("")).toContain("WARREN_TRACE: no frames are traced: Error: ENOENT");
    } finally {
      said.mockRestore();
    }
  });
});

test("WARREN_TRACE=1 writes to stderr, and nothing to stdout; without it there is nothing", () => {
  const program = join(folder(), "program.mjs");
  const url = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);
  writeFileSync(
    program,
    `import { EphemeralSessionService, builtinAgents } from ${url("../../dist/src/index.js")};
const service = await EphemeralSessionService.open({ agent: builtinAgents.echo, lanes: { count: 1 } });
await service.createSession({ prompt: "hello" });
await service.shutdown();
`,
  );
  const run = (env: Record<string, string>) =>
    spawnSync(process.execPath, [fileURLToPath(new URL(`file://${program}`))], { env: { ...process.env, ...env }, encoding: "utf8" });
  const on = run({ WARREN_TRACE: "1" });
  expect(linesOf(on.stderr).map(({ op }) => op)).toEqual(expect.arrayContaining(["CREATE", "BUILT", "TURN", "RESULT"]));
  expect(on.stdout).toBe("");
  const off = run({ WARREN_TRACE: "" });
  expect([off.status, off.stdout, off.stderr]).toEqual([0, "", ""]);
});
