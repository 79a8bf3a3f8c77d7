/** The store thread from start to end. Its parent is told once how opening went, and gives it ports to serve. */
import type { MessagePort } from "node:worker_threads";
import { parentPort, workerData } from "node:worker_threads";

import type { StoreSettings } from "../protocol/options.ts";
import type { StoreReason } from "../protocol/store-error.ts";
import { StoreError } from "../protocol/store-error.ts";
import { PortTransport } from "../transport/port-transport.ts";
import type { SessionStore } from "./session-store.ts";
import { openStore } from "./open-store.ts";
import { StoreServer } from "./serve-store.ts";
import { CommitCounts } from "./store-counts.ts";

/** What a store may lack. */
export interface StoreAbilities {
  readonly events: boolean;
  readonly runtimes: boolean;
  readonly keyedTurns: boolean;
  readonly answers: boolean;
}
export function abilitiesOf({ events, runtimes, keyedTurns, answers }: SessionStore): StoreAbilities {
  return { events: !!events, runtimes: !!runtimes, keyedTurns: !!keyedTurns, answers: !!answers };
}

/** What the thread says first: whether the store is open. */
export type StoreOpened =
  | { readonly ok: true; readonly has: StoreAbilities }
  | { readonly ok: false; readonly reason: StoreReason; readonly message: string; readonly details: StoreError["details"] };
/** A port to serve; `connection` names it for `laneDrained`, undefined for main. */
export interface StorePort {
  readonly port: MessagePort;
  readonly connection?: number | undefined;
}

/** Run the store until main closes it. Never rejects: a store that does not open is said to the parent, and the thread ends. */
export async function runStore(): Promise<void> {
  const parent = parentPort as MessagePort;
  const say = (opened: StoreOpened): void => parent.postMessage(opened);
  try {
    const settings = workerData as StoreSettings;
    const commits = settings.store.kind === "lmdb" ? new CommitCounts() : undefined;
    const store = await openStore(settings, commits);
    const server = new StoreServer(store, () => parent.close(), commits);
    parent.on("message", ({ port, connection }: StorePort) => server.serve(new PortTransport(port), connection));
    say({ ok: true, has: abilitiesOf(store) });
  } catch (error) {
    const { reason, message, details } = error instanceof StoreError ? error : new StoreError("io", String(error));
    say({ ok: false, reason, message, details });
    parent.close();
  }
}
