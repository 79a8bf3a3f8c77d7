/** The store's thread: one per host, started before any lane and ended after all of them. It is never terminated. */
import { realpathSync } from "node:fs";
import { resolve } from "node:path";
import { MessageChannel, Worker } from "node:worker_threads";

import type { PersistentHostOptions, StoreSettings } from "../protocol/options.ts";
import { StoreError } from "../protocol/store-error.ts";
import type { StoreOpened, StorePort } from "../store/run-store.ts";
import { Intake } from "../transport/intake.ts";
import { PortTransport } from "../transport/port-transport.ts";
import { StoreClient } from "../transport/store-client.ts";
import { within } from "../transport/within.ts";
import type { LaneStore } from "./lane-pool.ts";
import { KEEPING_YOUNG_MB } from "./lane-thread.ts";
import { moduleSpecifier } from "./resolve-agents.ts";

const ENTRY = new URL("../../workers/store.js", import.meta.url);
/** Milliseconds the thread may take to end when its store is closed. */
const END_MAX_MS = 5000;

/** Paths that hosts of this process have open: a record of this process's in the store itself may be of a thread that is gone. */
const openPaths = new Set<string>();

export class StoreThread {
  readonly client: StoreClient;
  /** Of the main thread: lanes share it. */
  readonly intake = new Intake();
  readonly hasEvents: boolean;
  /** Settles when the thread has ended, asked or not. */
  readonly ended: Promise<void>;
  readonly #worker: Worker;
  #connections = 0;

  private constructor(worker: Worker, opened: Extract<StoreOpened, { ok: true }>, ended: Promise<void>) {
    this.#worker = worker;
    this.hasEvents = opened.hasEvents;
    this.ended = ended;
    const { port1, port2 } = new MessageChannel();
    const port: StorePort = { port: port2 };
    worker.postMessage(port, [port2]);
    this.client = new StoreClient(new PortTransport(port1, undefined, this.intake));
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
    if (opened.ok) return new StoreThread(worker, opened, ended);
    await within(ended, END_MAX_MS);
    throw new StoreError(opened.reason, opened.message, opened.details);
  }

  /** A port for a lane. Calls made through it wait until the thread has it. */
  connect(logsEvents: boolean): LaneStore {
    const { port1, port2 } = new MessageChannel();
    const connection = ++this.#connections;
    const served: StorePort = { port: port2, connection };
    this.#worker.postMessage(served, [port2]);
    return { port: port1, connection, logsEvents };
  }

  /** Close the store, when what the lanes' ports hold has been done; wait for the thread's end. Lanes must have ended. */
  async close(): Promise<void> {
    await this.client.call("close").catch(() => {}); // it failed, or its thread is gone: there is nothing left to close
    this.client.close();
    await within(this.ended, END_MAX_MS);
  }
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
