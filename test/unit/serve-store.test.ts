/** The store's server over pipes of this thread: when a lane counts as drained (U4). */
import { expect, test } from "vitest";

import { MemoryStore } from "../../src/store/memory-store.ts";
import type { SessionStore } from "../../src/store/session-store.ts";
import { StoreServer } from "../../src/store/serve-store.ts";
import { memoryPipe } from "../../src/transport/memory-transport.ts";
import { StoreClient } from "../../src/transport/store-client.ts";

const soon = async (): Promise<void> => {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
};

interface Served {
  readonly main: StoreClient;
  readonly server: StoreServer;
  /** Of the lanes: what is asked waits until it is let go. */
  readonly release: () => void;
}

function serve(): Served {
  const store: SessionStore = new MemoryStore();
  let release!: () => void;
  const held = new Promise<void>((resolve) => (release = resolve));
  const slow = new Proxy(store, {
    get: (target, name: keyof SessionStore) =>
      name === "head" ? (id: string) => held.then(() => target.head(id)) : (target[name] as (...args: unknown[]) => unknown).bind(target),
  });
  const server = new StoreServer(slow, () => {});
  const [near, far] = memoryPipe();
  server.serve(far);
  return { main: new StoreClient(near), server, release };
}

function connect(server: StoreServer, lane: number): StoreClient {
  const [near, far] = memoryPipe();
  server.serve(far, lane);
  return new StoreClient(near);
}

/** @returns whether it has settled by now */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let has = false;
  void promise.then(() => (has = true));
  await soon();
  return has;
}

test("U4: a lane is drained when its port has closed and what came through it is done", async () => {
  const { main, server, release } = serve();
  const lane = connect(server, 1);
  lane.call("head", "s").catch(() => {}); // nobody is told: it is closed
  await soon();
  const drained = main.call("laneDrained", 1);
  expect(await isSettled(drained)).toBe(false);
  lane.close();
  expect(await isSettled(drained)).toBe(false);
  release();
  expect(await drained).toBe(true);
  expect(await main.call("laneDrained", 1)).toBe(true);
});

test("U4: a lane that was lost before the store came to serve it is drained when it has been served", async () => {
  const { main, server, release } = serve();
  release();
  connect(server, 1).close();
  const drained = main.call("laneDrained", 2);
  expect(await isSettled(drained)).toBe(false);
  connect(server, 2).close();
  expect(await drained).toBe(true);
});
