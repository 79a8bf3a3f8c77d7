/** Gives the process to the comparison, and its exit code to the process. */
import { runCompare } from "./compare/command.ts";

process.exitCode = await runCompare(process.argv.slice(2), {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
});
