/**
 * A lock between processes: a file beside the one it guards, which only one of them can create.
 *
 *   F1. At most one process holds it.
 *   F2. A lock whose process died on this machine is taken away, by one process at a time and only while it is still that process's.
 *   F3. Waiting ends: after LOCK_WAIT_MS the caller is told who holds the lock.
 */
import { randomUUID } from "node:crypto";
import { readFile, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";

/** Milliseconds; holding it takes a few. */
const LOCK_WAIT_MS = 10_000;
const LOOK_AGAIN_MS = 20;

/**
 * @param path - the file it guards
 * @param refuse - what to do when it cannot be had
 * @returns what `act` returns
 */
export async function withFileLock<T>(
  path: string,
  refuse: (error: Error) => never,
  act: () => Promise<T>,
  waitMs: number = LOCK_WAIT_MS,
): Promise<T> {
  const lock = `${path}.lock`;
  const owner = `${process.pid} ${hostname()} ${randomUUID()}`;
  for (const until = Date.now() + waitMs; !(await isCreated(lock, owner).catch(refuse)); await sleep(LOOK_AGAIN_MS)) {
    const holder = await ownerOf(lock);
    if (holder !== undefined && isDead(holder)) await breakLock(lock, holder);
    else if (Date.now() > until) refuse(new Error(`${lock} is held by ${holder || "another process"}; remove it if nobody is at work`));
  }
  try {
    return await act();
  } finally {
    await rm(lock, { force: true });
  }
}

async function isCreated(lock: string, owner: string): Promise<boolean> {
  try {
    await writeFile(lock, owner, { flag: "wx", mode: 0o600 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** F2: who breaks it holds a second lock, so what is looked at is what is removed. A second lock that was left behind is not taken away (F3). */
async function breakLock(lock: string, holder: string): Promise<void> {
  const second = `${lock}.break`;
  if (!(await isCreated(second, holder).catch(() => false))) return sleep(LOOK_AGAIN_MS);
  try {
    if ((await ownerOf(lock)) === holder) await rm(lock, { force: true });
  } finally {
    await rm(second, { force: true });
  }
}

/** @returns undefined when it is gone */
async function ownerOf(lock: string): Promise<string | undefined> {
  return readFile(lock, "utf8").catch(() => undefined);
}

/** An empty file is one that is being written. */
function isDead(holder: string): boolean {
  const [pid, host] = holder.split(" ");
  if (host !== hostname() || !/^[1-9]\d*$/.test(pid ?? "")) return false;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}
