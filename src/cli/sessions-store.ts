/** Opening a store for a command that looks at sessions or changes them, without a host: the process's main thread has it open. */
import { existsSync } from "node:fs";

import { STORE_REASONS, StoreError } from "../protocol/store-error.ts";
import type { SessionStore } from "../store/session-store.ts";
import type { CommandIo } from "./command-io.ts";
import { EXIT, UsageError, storeRefusal } from "./command-io.ts";
import { printableLines } from "./printable.ts";
import { ResultWriter } from "./result-writer.ts";

/** What a command is given. */
export interface SessionsCommand {
  readonly store: SessionStore;
  /** Folder of the store. */
  readonly path: string;
  readonly io: CommandIo;
  /** To standard output. */
  readonly out: ResultWriter;
  /** Say what is wrong; the command goes on, and its exit code is EXIT.failed. */
  readonly complain: (problem: string) => void;
}

/** "read": also while a host has the store open. "change": alone. "fill": as change, and made if it is not there. */
export type StoreAccess = "read" | "change" | "fill";

/**
 * @param act - the command; a StoreError it rejects with ends it, and is told
 * @returns the exit code
 * @throws UsageError when the store cannot be opened
 */
export async function withStore(
  path: string,
  access: StoreAccess,
  io: CommandIo,
  act: (command: SessionsCommand) => Promise<void>,
): Promise<number> {
  let exitCode: number = EXIT.ok;
  const complain = (problem: string): void => {
    exitCode = EXIT.failed;
    io.stderr.write(`error: ${printableLines(problem)}\n`);
  };
  const store = await open(path, access, (error) => complain(error.message));
  const out = new ResultWriter(io.stdout, (error) => {
    exitCode = EXIT.failed;
    // A reader that has seen enough wants to hear no more.
    if (error.code !== "EPIPE") io.stderr.write(`error: cannot write standard output: ${error.message}\n`);
  });
  try {
    await act({ store, path, io, out, complain });
    await out.flush();
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    complain(error.message);
  } finally {
    await store.close();
  }
  return exitCode;
}

async function open(path: string, access: StoreAccess, onUnreadable: (error: StoreError) => void): Promise<SessionStore> {
  if (access !== "fill" && !existsSync(path)) throw new UsageError(`option '--store <dir>': there is no folder ${path}`);
  // Loaded when it is wanted: it is a native addon.
  const { openLmdbStore } = await import("../store/lmdb-open.ts");
  try {
    if (access === "fill") return await openLmdbStore({ path, onUnreadable });
    const reader = await openLmdbStore({ path, readOnly: true, onUnreadable }); // which makes none where there is none
    if (access === "read") return reader;
    await reader.close();
    return await openLmdbStore({ path, onUnreadable });
  } catch (error) {
    throw error instanceof StoreError ? storeRefusal(error) : error;
  }
}

/** What concerns one session only: the others go on. */
export function isOfOneSession(error: unknown): error is StoreError {
  return error instanceof StoreError && (STORE_REASONS[error.reason].isRefusal || error.reason === "invalid" || isDamage(error));
}

/** Rows of one session that cannot be read. */
export function isDamage(error: unknown): error is StoreError {
  return error instanceof StoreError && (error.reason === "corrupt" || error.reason === "schema") && "session" in error.details;
}
