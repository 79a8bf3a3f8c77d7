/** What a command gets of its process, so that it can run without one; and how it refuses to run. */
import type { Readable, Writable } from "node:stream";

/** A stream that may be a terminal. */
export type Terminal = Writable & { readonly isTTY?: boolean };

/** Where signals come from: `process`. */
export interface SignalSource {
  on(signal: "SIGINT" | "SIGTERM", listener: (signal: "SIGINT" | "SIGTERM") => void): unknown;
  off(signal: "SIGINT" | "SIGTERM", listener: (signal: "SIGINT" | "SIGTERM") => void): unknown;
}

export interface CommandIo {
  readonly stdin: Readable;
  readonly stdout: Terminal;
  readonly stderr: Terminal;
  readonly signals: SignalSource;
  /** Environment variables: `process.env`. */
  readonly env: NodeJS.ProcessEnv;
}

export const EXIT = {
  ok: 0,
  /** Something failed: a turn, a line, the input or the output. */
  failed: 1,
  /** The command was called wrongly; nothing was run. */
  usage: 2,
  /** A signal cut the run short: 128 and its number, as a shell says it of a process that the signal ended. */
  SIGINT: 130,
  SIGTERM: 143,
} as const;

/** The caller's mistake: its message goes to stderr as it is, and the exit code is EXIT.usage. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** @returns the message of anything that was thrown */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** @param error - why a store cannot be opened */
export function storeRefusal(error: unknown): UsageError {
  return new UsageError(`option '--store <dir>': ${messageOf(error)}`);
}
