/**
 * Who may write to a database: one store at a time. A record in the `meta` table names its process, so that one which died, however
 * it died, is known to be gone at once: no such process, another one of that number, or the machine was started anew since.
 */
import { randomUUID } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";

import { isCount, isText } from "../protocol/shapes.ts";
import { encodeValue } from "../transport/codec.ts";
import { damagedMeta, decodedMeta } from "./lmdb-meta.ts";
import type { LmdbEnv } from "./lmdb-env.ts";
import { probe } from "./lmdb-env.ts";
import { beginRun, endRun } from "./lmdb-runs.ts";
import { StoreError } from "../protocol/store-error.ts";

const OWNER = Buffer.from("owner");

interface Owner {
  readonly pid: number;
  /** Clock ticks from the machine's start to the process's; 0 where the system does not tell. */
  readonly startTime: number;
  /** Of the machine's run; empty where the system does not tell. */
  readonly boot: string;
  /** Device and inode of the file, so that in a copy the record names nobody. */
  readonly file: string;
  /** Of the store: tells two stores of one process apart. */
  readonly token: string;
}

/**
 * Write the record and begin a run, in a transaction.
 *
 * @param takeOver - from a store of this same process as well, whose thread ended without closing it
 * @returns the token of the owner. @throws StoreError in_use, naming the process; corrupt
 */
export function own(env: LmdbEnv, path: string, takeOver: boolean): string {
  const owner: Owner = {
    pid: process.pid,
    startTime: startTimeOf(process.pid) ?? 0,
    boot: bootId(),
    file: fileOf(path),
    token: randomUUID(),
  };
  env.transaction(() => {
    const found = readOwner(env, path);
    if (found !== undefined && found.file === owner.file && isAlive(found) && !(takeOver && found.pid === process.pid)) {
      throw new StoreError("in_use", `the store in ${path} is open in process ${found.pid}`, { path, pid: found.pid });
    }
    env.put("meta", OWNER, encodeValue([owner.pid, owner.startTime, owner.boot, owner.file, owner.token]));
    beginRun(env, path);
  });
  return owner.token;
}

/** @returns the process that has the store open for writing, if one has. Changes nothing. @throws StoreError corrupt */
export async function ownerOf(path: string): Promise<number | undefined> {
  const { meta } = await probe(path, OWNER, false);
  const owner = decodedOwner(meta, path);
  return owner !== undefined && owner.file === fileOf(path) && isAlive(owner) ? owner.pid : undefined;
}

/** @throws StoreError in_use, when another store took over; corrupt */
export function checkOwned(env: LmdbEnv, path: string, token: string): void {
  const owner = readOwner(env, path);
  if (owner?.token !== token) {
    throw new StoreError("in_use", `the store in ${path} was taken over`, { path, ...(owner && { pid: owner.pid }) });
  }
}

/** End the run and let go, if it is still this one's. Then everything that was committed is on the disk. */
export function disown(env: LmdbEnv, path: string, token: string): void {
  env.finish(() => {
    if (readOwner(env, path)?.token !== token) return;
    endRun(env, path);
    env.remove("meta", OWNER);
  });
}

/** @throws StoreError corrupt: nobody can tell then who may write */
function readOwner(env: LmdbEnv, path: string): Owner | undefined {
  return decodedOwner(env.get("meta", OWNER), path);
}

function decodedOwner(bytes: Uint8Array | undefined, path: string): Owner | undefined {
  if (bytes === undefined) return undefined;
  const owner = decodedMeta(bytes, path, "owner");
  const [pid, startTime, boot, file, token] = Array.isArray(owner) ? (owner as unknown[]) : [];
  // A process's number is never 0, which would ask after all processes of the group.
  if (!isCount(pid) || pid === 0 || !isCount(startTime) || !isText(boot) || !isText(file) || !isText(token))
    throw damagedMeta(path, "owner");
  return { pid, startTime, boot, file, token };
}

function isAlive({ pid, startTime, boot }: Owner): boolean {
  if (boot !== bootId()) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it is there, and somebody else's.
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
  }
  return startTime === 0 || startTimeOf(pid) === startTime;
}

/** @returns undefined where the system does not tell, and for a process that has ended and is only waited for */
function startTimeOf(pid: number): number | undefined {
  try {
    // The name, in brackets, may hold spaces; behind it come the state and the fields from 4 on.
    const fields = readFileSync(`/proc/${pid}/stat`, "latin1")
      .replace(/^.*\) /s, "")
      .split(" ");
    return fields[0] === "Z" || fields[0] === "X" ? undefined : Number(fields[19]);
  } catch {
    // No such process, or no such file system.
    return undefined;
  }
}

function fileOf(path: string): string {
  const { dev, ino } = statSync(join(path, "data.mdb"), { bigint: true });
  return `${dev}:${ino}`;
}

function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
  } catch {
    // Not Linux.
    return "";
  }
}
