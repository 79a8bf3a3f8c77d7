/** The store's thread: one per host, started before any lane and ended after all of them. It is never terminated. */
import { realpathSync } from "node:fs";
import { resolve } from "node:path";
import type { MessagePort } from "node:worker_threads";
import { MessageChannel, Worker } from "node:worker_threads";

import type { PersistentHostOptions, StoreSettings } from "../protocol/options.ts";
import { STORE_COMMANDS, STORE_REPORTS } from "../protocol/store-calls.ts";
import { StoreError } from "../protocol/store-error.ts";
import type { StoreAbilities, StoreOpened, StorePort } from "../store/run-store.ts";
import { Intake } from "../transport/intake.ts";
import { PortTransport } from "../transport/port-transport.ts";
import { StoreClient } from "../transport/store-client.ts";
import { traceStore } from "../transport/trace.ts";
import { within } from "../transport/within.ts";
import type { LaneStore } from "./lane-pool.ts";
import { KEEPING_YOUNG_MB } from "./lane-thread.ts";
import { moduleSpecifier } from "./resolve-agents.ts";

const ENTRY = new URL("../../workers/store.js", import.meta.url);
/** Milliseconds the thread may take to end when its store is closed. */
const END_MAX_MS = 5000;

/** Paths that hosts of this process have open: a record of this process's in the store itself may be of a thread that is gone. */
const openPaths = new Set<string>();

/** What runs a store: a worker thread, or what a simulation puts in its place. */
export interface StoreSeat {
  readonly has: StoreAbilities;
  /** Settles when the thread has ended, asked or not. */
  readonly ended: Promise<void>;
  /** @returns a port to the store. @param connection - what it is called there; undefined: main's own */
  connect(connection?: number): MessagePort;
}

export class StoreThread {
  readonly client: StoreClient;
  /** Of the main thread: lanes share it. */
  readonly intake = new Intake();
  readonly has: StoreAbilities;
  /** Settles when the thread has ended, asked or not. */
  readonly ended: Promise<void>;
  readonly #seat: StoreSeat;
  #connections = 0;

  /** Over a store that is open. */
  constructor(seat: StoreSeat) {
    this.#seat = seat;
    this.has = seat.has;
    this.ended = seat.ended;
    const trace = traceStore(STORE_COMMANDS, STORE_REPORTS);
    this.client = new StoreClient(new PortTransport(seat.connect(), undefined, this.intake), undefined, trace);
  }

  /** Start the thread and open the store in it. @throws StoreError naming what and where; nothing is left behind */
  static async start(options: PersistentHostOptions): Promise<StoreThread> {
    const settings = settingsOf(options);
    const path = settings.store.kind === "lmdb" ? canonical(settings.store.path) : undefined;
    if (path !== undefined && openPaths.has(path)) {
      throw new StoreError("in_use", `the store ${path} is open already in this process`, { path, pid: process.pid });
    }
    if (path !== undefined) openPaths.add(path);
    const worker = new Worker(ENTRY, {
      workerData: settings,
      name: "warren-store",
      resourceLimits: { maxYoungGenerationSizeMb: KEEPING_YOUNG_MB },
    });
    const ended = new Promise<void>((onEnded) => worker.once("exit", () => onEnded()));
    void ended.then(() => path !== undefined && openPaths.delete(path));
    const opened = await new Promise<StoreOpened>((onOpened) => {
      worker.once("message", onOpened);
      const failed = (error: unknown): void =>
        onOpened({ ok: false, reason: "io", message: `the store's thread ended: ${String(error)}`, details: {} });
      worker.on("error", failed);
      worker.once("exit", failed);
    });
    if (opened.ok) return new StoreThread(seatOf(worker, opened.has, ended));
    await within(ended, END_MAX_MS);
    throw new StoreError(opened.reason, opened.message, opened.details);
  }

  /** A port for a lane. Calls made through it wait until the thread has it. */
  connect(logsEvents: boolean): LaneStore {
    const connection = ++this.#connections;
    return { port: this.#seat.connect(connection), connection, logsEvents, remembersTurns: this.has.keyedTurns };
  }

  /** Close the store, when what the lanes' ports hold has been done; wait for the thread's end. Lanes must have ended. */
  async close(): Promise<void> {
    await this.client.call("close").catch(() => {}); // it failed, or its thread is gone: there is nothing left to close
    this.client.close();
    await within(this.ended, END_MAX_MS);
  }
}

function seatOf(worker: Worker, has: StoreAbilities, ended: Promise<void>): StoreSeat {
  const connect = (connection?: number): MessagePort => {
    const { port1, port2 } = new MessageChannel();
    const served: StorePort = { port: port2, connection };
    worker.postMessage(served, [port2]);
    return port1;
  };
  return { has, ended, connect };
}

function settingsOf({ store, durability }: PersistentHostOptions): StoreSettings {
  if (store.kind === "lmdb") return { store: { ...store, path: resolve(store.path) }, durability };
  if (store.kind !== "module") return { store, durability };
  return {
    store: { kind: "module", module: moduleSpecifier(store.module), ...("options" in store && { options: store.options }) },
    durability,
  };
}

function canonical(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path; // it does not exist yet
  }
}
