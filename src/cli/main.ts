#!/usr/bin/env node
/** The `warren` command: gives the process to the program, and the program's exit code to the process. */
import { runProgram } from "./program.ts";

// A reader of stderr that has gone away is no reason to die: what it would have read is only progress and the table.
process.stderr.on("error", () => {});
// Not process.exit(): what is still on its way to a pipe would be cut off.
process.exitCode = await runProgram(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  signals: process,
  env: process.env,
});
