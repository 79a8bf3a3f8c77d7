/** `warren doctor`: what it tries out on a machine, and what it says of what is wrong. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { afterAll, expect, test } from "vitest";

import { openLmdbStore } from "../../dist/src/store.js";
import { warren, workIn } from "../helpers/warren.ts";

const KINDS = fileURLToPath(new URL("../fixtures/cli/turn-kinds.mjs", import.meta.url));
const NOT_AN_AGENT = fileURLToPath(new URL("../fixtures/cli/not-an-agent.mjs", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "warren-cli-doctor-"));
workIn(folder);
afterAll(() => rmSync(folder, { recursive: true }));

interface Report {
  readonly ok: boolean;
  readonly findings: readonly { check: string; status: string; found: string; advice?: string }[];
}
async function doctor(args: readonly string[], env: Record<string, string> = {}) {
  const { code, out } = await warren(["doctor", "--port", "0", ...args, "--json"], "", env);
  const report = JSON.parse(out) as Report;
  expect(report.ok).toBe(code === 0);
  return { code, found: (check: string) => report.findings.filter((finding) => finding.check === check) };
}

test("a machine that is fit: a line for each check, exit code 0, and nothing left behind", async () => {
  const { code, out, err } = await warren(["doctor", "--port", "0", "--store", "not/yet"]);
  expect([code, err]).toEqual([0, ""]);
  const checks = out.split("\n").flatMap((line) => /^(?:ok|warn) +(\w+(?: parts)?)/.exec(line)?.[1] ?? []);
  expect(checks).toEqual(["node", "cores", "memory", "files", "configuration", "native parts", "store", "disk", "port", "agent"]);
  expect(out).toMatch(/interpreter loads in a lane and answers\n/);
  expect(readdirSync(folder)).toEqual([]);
});

test("a store: whether it opens, what it is, and who has it", async () => {
  const store = await openLmdbStore({ path: "store" });
  const held = await doctor(["--store", "store"]);
  expect(held.found("store")).toMatchObject([{ status: "warn", found: expect.stringContaining(`process ${process.pid} has it open`) }]);
  await store.close();
  writeFileSync("file", "");
  expect((await doctor(["--store", "file/store"])).found("store")).toMatchObject([
    { status: "fail", found: expect.stringContaining("ENOTDIR") },
  ]);
  const free = await doctor([], { WARREN_STORE: "store" });
  expect(free.found("store")).toMatchObject([{ status: "ok", found: expect.stringMatching(/^store opens: schema \d+, /) }]);
  mkdirSync("foreign");
  writeFileSync("foreign/data.mdb", "something else".repeat(1000));
  const foreign = await doctor(["--store", "foreign"]);
  expect([foreign.code, foreign.found("store")]).toMatchObject([1, [{ status: "fail", advice: expect.stringContaining("storage.md") }]]);
});

test("a port that is taken", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const { code, found } = await doctor(["--port", String(port)]);
  expect([code, found("port")]).toMatchObject([1, [{ status: "fail", advice: expect.stringContaining("give another --port") }]]);
  await new Promise((resolve) => server.close(resolve));
});

test("agents: those that ship take a turn, others build a session, or take one with --prompt", async () => {
  const quiet = await doctor(["--agent", `mine=${KINDS}`, "--agent", "echo=echo"]);
  expect(quiet.found("agent").map(({ status, found }) => [status, found])).toEqual([
    ["ok", "mine loads and builds a session (--prompt has it take a turn)"],
    ["ok", "echo loads in a lane and answers"],
  ]);
  expect((await doctor(["--agent", KINDS, "--prompt", "throw"])).found("agent")).toMatchObject([{ status: "fail" }]);
  const wrong = await doctor(["--agent", NOT_AN_AGENT]);
  expect([wrong.code, wrong.found("agent")]).toMatchObject([1, [{ status: "fail", advice: expect.stringContaining("defineAgent") }]]);
});

test("settings: what is wrong with them is told, and all that does not need them is still looked at", async () => {
  const { code, found } = await doctor([], { WARREN_LANES: "many" });
  expect([code, found("configuration"), found("native parts")]).toMatchObject([
    1,
    [{ status: "fail", found: "environment variable WARREN_LANES: must be a whole number from 1 to 512, or auto" }],
    [{ status: "ok" }],
  ]);
  expect(existsSync("warren.config.json")).toBe(false);
});

test("a temporary folder that cannot be written to: said, with what to do, and the other checks follow", async () => {
  const before = process.env["TMPDIR"];
  process.env["TMPDIR"] = join(folder, "missing");
  try {
    const { code, found } = await doctor(["--store", "not/yet"]);
    expect([code, found("native parts")]).toMatchObject([
      1,
      [{ status: "fail", advice: expect.stringContaining("missing must be writable") }],
    ]);
    expect(found("port")).toMatchObject([{ status: "ok" }]);
  } finally {
    if (before === undefined) delete process.env["TMPDIR"];
    else process.env["TMPDIR"] = before;
  }
});
