/** Where lines of the frame trace go: WARREN_TRACE=1 is stderr, anything else a file, to which they are added. */
import { openSync, writeSync } from "node:fs";

export type TraceSink = (line: string) => void;

const OFF: ReadonlySet<string> = new Set(["", "0", "false"]);

/** Open for as long as the process lives: what happened last is what one wants to see. */
const files = new Map<string, TraceSink>();

/** @returns undefined: nobody wants a trace, or its file cannot be opened, which is said on stderr */
export function traceSink(): TraceSink | undefined {
  const wanted = process.env["WARREN_TRACE"] ?? "";
  if (OFF.has(wanted)) return undefined;
  if (wanted === "1") return (line) => void process.stderr.write(line);
  const known = files.get(wanted);
  if (known !== undefined) return known;
  let file: number;
  try {
    file = openSync(wanted, "a");
  } catch (error) {
    process.stderr.write(`WARREN_TRACE: no frames are traced: ${String(error)}\n`);
    return undefined;
  }
  const sink = (line: string): void => void writeSync(file, line);
  files.set(wanted, sink);
  return sink;
}
