/** Commands whose standard output goes nowhere: its reader has gone, or its disk is full. */
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { afterAll, expect, test } from "vitest";

import { settled, until } from "../helpers/hosts.ts";

const MAIN = fileURLToPath(new URL("../../dist/src/cli/main.js", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "warren-cli-output-"));
afterAll(() => rmSync(folder, { recursive: true }));

interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<{ code: number | null; err: string }>;
}

function begin(args: readonly string[], stdout: number | "pipe"): Running {
  const env = { ...process.env, TMPDIR: folder };
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", stdout, "pipe"], cwd: folder, env });
  let err = "";
  child.stderr?.on("data", (text) => (err += String(text)));
  const ended = new Promise<{ code: number | null; err: string }>((resolve) => child.once("close", (code) => resolve({ code, err })));
  return { child, ended: settled(ended) };
}

/** Nobody reads what it says. */
function unread(args: readonly string[]): Running {
  const running = begin(args, "pipe");
  running.child.stdout?.destroy();
  return running;
}

test.each([
  ["completion", ["completion", "bash"]],
  ["doctor, which takes all away that it made", ["doctor", "--port", "0"]],
])("nobody reads what it says: %s; it ends as ever, without a word", async (_, args) => {
  expect(await unread(args).ended).toEqual({ code: 0, err: "" });
  expect(readdirSync(folder)).toEqual([]);
});

test("nobody reads where it serves: it serves all the same", async () => {
  const free = createServer();
  await new Promise<void>((resolve) => free.listen(0, "127.0.0.1", resolve));
  const { port } = free.address() as AddressInfo;
  await new Promise((resolve) => free.close(resolve));
  const { child, ended } = unread(["serve", "--port", String(port), "--agent", "echo", "--lanes", "1", "--log-level", "silent"]);
  const isReady = () =>
    fetch(`http://127.0.0.1:${port}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    );
  await until("it serves", isReady);
  child.kill("SIGTERM");
  expect(await ended).toEqual({ code: 0, err: "" });
});

test.skipIf(!existsSync("/dev/full"))("a disk that is full is told, exit code 1", async () => {
  const full = openSync("/dev/full", "w");
  const { ended } = begin(["completion", "bash"], full);
  closeSync(full);
  expect(await ended).toEqual({ code: 1, err: expect.stringMatching(/^error: cannot write standard output: .*ENOSPC.*\n$/) });
});
