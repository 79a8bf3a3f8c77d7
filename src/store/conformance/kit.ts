/** What the checks of a store are made of. They know no test framework: a check throws when it fails. */
import assert from "node:assert/strict";

import type { SessionStore } from "../session-store.ts";
import type { StoreReason } from "../../protocol/store-error.ts";

export interface ConformanceOptions {
  /** A store of this name that holds nothing; each check asks for a name of its own and closes what it got. */
  readonly open: (name: string) => Promise<SessionStore>;
  /** For a store that outlives its process: close it, open what it left. */
  reopen?: ((store: SessionStore, name: string) => Promise<SessionStore>) | undefined;
  /** For a store that outlives a process that is killed. */
  crash?: CrashHooks | undefined;
  /** Damage what the store holds of a session's log, and give back a store that reads it. */
  corrupt?: ((store: SessionStore, name: string, session: string) => Promise<SessionStore>) | undefined;
  /** Start of the random schedules; printed with a failure. Default: drawn anew each time. */
  seed?: number | undefined;
}

export interface CrashHooks {
  /** URL or path of a module that a process of its own imports: it exports `createSessionStore`. */
  readonly module: string;
  /** What that is called with, as JSON. */
  readonly options: (name: string) => unknown;
  /** Open what the killed process left. */
  readonly recover: (name: string) => Promise<SessionStore>;
}

export interface ConformanceTest {
  readonly name: string;
  readonly group: string;
  /** @throws when the store fails the check */
  run(): Promise<void>;
}

/** What a check runs with. `use` takes another store under the check's name, which is closed at the end in place of the first. */
export interface Bench {
  readonly store: SessionStore;
  readonly name: string;
  readonly options: ConformanceOptions;
  readonly use: (store: SessionStore) => SessionStore;
}
/** What a store may lack. */
export const STORE_PARTS = ["events", "runtimes", "keyedTurns", "answers"] as const;
export type StorePart = (typeof STORE_PARTS)[number];
export const isStorePart = (needs: Check["needs"]): needs is StorePart => (STORE_PARTS as readonly unknown[]).includes(needs);

export interface Check {
  readonly name: string;
  /** What the store, or the options, must have. */
  readonly needs?: StorePart | "reopen" | "crash" | "corrupt" | undefined;
  run(bench: Bench): Promise<void>;
}

/** A call that is awaited later: when the check fails before, nobody hears of its rejection, and nobody has to. */
export function begun<T>(call: Promise<T>): Promise<T> {
  call.catch(() => {});
  return call;
}

/** @throws unless the call rejects with a StoreError of this reason */
export async function refuses(call: Promise<unknown>, reason: StoreReason): Promise<void> {
  let given: unknown;
  try {
    given = await call;
  } catch (error) {
    const { name, reason: found } = error as { name?: unknown; reason?: unknown };
    assert.equal(name, "StoreError", `a StoreError was to be thrown, not ${String(error)}`);
    assert.equal(found, reason, `refused for another reason: ${String(error)}`);
    return;
  }
  assert.fail(`was to be refused as ${reason}, gave ${JSON.stringify(given)?.slice(0, 200)}`);
}

/** Equal as JSON is: a member that is undefined is as one that is not there. */
export function same(found: unknown, expected: unknown, what: string): void {
  assert.deepEqual(plain(found), plain(expected), what);
}
const plain = (value: unknown): unknown => (value === undefined ? undefined : JSON.parse(JSON.stringify(value)));

/** Numbers from 0 up to `below`, always the same for one seed (mulberry32). */
export function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}
