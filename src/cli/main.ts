#!/usr/bin/env node
/** The `warren` command: gives the process to the program, and the program's exit code to the process. */
import { EXIT } from "./command-io.ts";
import { runProgram } from "./program.ts";

let hasFailed = false;
// A reader of stdout that has gone away has seen enough, and the exit code is still the command's. What is lost for another reason is told, once.
process.stdout.on("error", ({ code, message }: NodeJS.ErrnoException) => {
  const isTold = hasFailed || process.stdout.listenerCount("error") > 1; // by the command
  if (code === "EPIPE" || isTold) return;
  hasFailed = true;
  process.stderr.write(`error: cannot write standard output: ${message}\n`);
  process.exitCode = EXIT.failed;
});
// A reader of stderr that has gone away is no reason to die: what it would have read is only progress and the table.
process.stderr.on("error", () => {});
// Not process.exit(): what is still on its way to a pipe would be cut off.
const exitCode = await runProgram(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  signals: process,
  env: process.env,
});
if (exitCode !== EXIT.ok || !hasFailed) process.exitCode = exitCode;
