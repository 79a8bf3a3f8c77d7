/** Opening hosts with a store for tests. Every host opened here is shut down, and every folder removed, when its test ends. */
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach } from "vitest";

import type { Message, PersistenceOptions, SessionServiceOptions, StoreOptions } from "../../dist/src/index.js";
import { PersistentSessionService } from "../../dist/src/index.js";
import { SCRIPTED } from "./hosts.ts";
import { expectNoLeaks } from "./no-leaks.ts";

export const EDITING = new URL("../fixtures/editing.mjs", import.meta.url);
const COUNTING_STORE = new URL("../fixtures/counting-store.mjs", import.meta.url);

export type PersistentOptions = Partial<SessionServiceOptions & PersistenceOptions>;
export type OpenPersistent = (options?: PersistentOptions) => Promise<PersistentSessionService>;

/** What goes wrong in a counting store: see fixtures/counting-store.mjs. */
export interface StoreOrders {
  fail?: string[];
  failAfter?: string[];
  hold?: string[];
  exit?: string[];
  failAt?: number;
  failAfterAt?: number;
}

/** A store of fixtures/counting-store.mjs, as a test drives it. */
export interface CountingStore {
  readonly store: StoreOptions;
  /** From now on. */
  readonly order: (orders: StoreOrders) => void;
  /** Names of the calls so far, in order; of one session, or of all. */
  readonly calls: (id?: string) => string[];
  /** The calls so far that write a transcript. */
  readonly writes: (id?: string) => string[];
}

/** @returns ways to open the persistent hosts of one test, over a store in memory unless they name another, and to make what they need */
export function persistentHosts(standard: PersistentOptions = {}): {
  open: OpenPersistent;
  folder: () => string;
  counting: () => CountingStore;
} {
  expectNoLeaks();
  const hosts: PersistentSessionService[] = [];
  const folders: string[] = [];
  afterEach(async () => {
    await Promise.all(hosts.splice(0).map((service) => service.shutdown({ deadlineMs: 0 })));
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
  });
  const folder = (): string => {
    const made = mkdtempSync(join(tmpdir(), "warren-test-"));
    folders.push(made);
    return made;
  };
  const open: OpenPersistent = async (options = {}) => {
    const service = await PersistentSessionService.open({
      agent: SCRIPTED,
      lanes: { count: 1 },
      interruptGraceMs: 300,
      store: { kind: "memory" },
      ...standard,
      ...options,
    });
    hosts.push(service);
    return service;
  };
  const counting = (): CountingStore => {
    const [journal, orders] = [join(folder(), "journal"), join(folder(), "orders")];
    writeFileSync(journal, "");
    writeFileSync(orders, "{}");
    const calls = (id?: string): string[] =>
      readFileSync(journal, "utf8")
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line) as { call: string; id?: string })
        .filter((call) => id === undefined || call.id === id)
        .map(({ call }) => call);
    return {
      store: { kind: "module", module: COUNTING_STORE, options: { journal, orders } },
      order: (wanted) => {
        // Whole or not at all: the store may be reading it.
        writeFileSync(`${orders}.new`, JSON.stringify(wanted));
        renameSync(`${orders}.new`, orders);
      },
      calls,
      writes: (id) => calls(id).filter((call) => call === "append" || call === "rewrite"),
    };
  };
  return { open, folder, counting };
}

/** @returns what the messages say, without their leading system message */
export function contents(messages: readonly Message[] | undefined): string[] {
  return (messages ?? []).filter(({ role }) => role !== "system").map((message) => String("content" in message ? message.content : ""));
}

/** @returns what a transcript of plain prompts holds: each prompt, and itself as the answer */
export function echoed(...prompts: string[]): string[] {
  return prompts.flatMap((prompt) => [prompt, prompt]);
}
