import { afterEach, describe, expect, test, vi } from "vitest";

import { StoreServer } from "../../src/store/serve-store.ts";
import { MemoryStore } from "../../src/store/memory-store.ts";
import type { StoreError } from "../../src/protocol/store-error.ts";
import { memoryPipe } from "../../src/transport/memory-transport.ts";
import { StoreClient } from "../../src/transport/store-client.ts";
import type { FrameTransport } from "../../src/transport/transport.ts";

const soon = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const reasonOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    (value) => `answered ${JSON.stringify(value)}`,
    (error: StoreError) => error.reason,
  );

/** A client, and the store behind its pipe unless the test answers, or does not. */
function client(stallMs?: number): { client: StoreClient; far: FrameTransport; serve: (store?: MemoryStore) => void } {
  const [near, far] = memoryPipe();
  return { client: new StoreClient(near, stallMs), far, serve: (store = new MemoryStore()) => new StoreServer(store, () => {}).serve(far) };
}

/** A store whose calls are written down. */
class Recording extends MemoryStore {
  readonly asked: string[] = [];
  override head(id: string): ReturnType<MemoryStore["head"]> {
    this.asked.push(id);
    return super.head(id);
  }
}

afterEach(() => {
  vi.useRealTimers();
});

describe("StoreClient", () => {
  test("calls take effect in their order, and each gets its own answer", async () => {
    const { client: store, serve } = client();
    const recording = new Recording();
    serve(recording);
    const ids = Array.from({ length: 50 }, (_, i) => `s${i}`);
    expect(await Promise.all(ids.map((id) => store.call("head", id)))).toEqual(Array(50).fill(null));
    expect(recording.asked).toEqual(ids);
    expect(store.waiting).toBe(0);
  });

  test("Y1: what the store refuses rejects with its reason, and harms no other call", async () => {
    const { client: store, serve } = client();
    serve();
    const outcomes = await Promise.all([reasonOf(store.call("open", "nobody")), reasonOf(store.call("fence", "nobody"))]);
    expect(outcomes).toEqual(["not_found", "answered null"]);
  });

  test("Y1: what cannot be encoded rejects, and the calls around it are answered", async () => {
    const { client: store, serve } = client();
    serve();
    const calls = [store.call("head", "a"), store.call("head", (10n ** 30n) as never), store.call("head", "b")];
    expect(await Promise.all(calls.map(reasonOf))).toEqual(["answered null", "invalid", "answered null"]);
    expect(store.waiting).toBe(0);
  });

  test("Y1: when the store is gone, what waits and what comes rejects as closed; nothing is answered afterwards", async () => {
    const { client: store, far } = client();
    const waiting = reasonOf(store.call("head", "a"));
    await soon();
    far.close();
    expect(await waiting).toBe("closed");
    expect(await reasonOf(store.call("head", "b"))).toBe("closed");
    expect(store.waiting).toBe(0);
  });

  test("Y1: close sends what waits, and rejects what is owed", async () => {
    const { client: store, serve } = client();
    const recording = new Recording();
    const waiting = reasonOf(store.call("head", "last"));
    store.close();
    expect(await waiting).toBe("closed");
    serve(recording);
    await soon();
    await soon();
    expect(recording.asked).toEqual(["last"]);
    store.close(); // a second time does nothing
  });

  test("Y1: a store that does not answer is taken for stalled, call by call; what it says later is nobody's", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
    const { client: store, serve } = client(3000);
    const first = reasonOf(store.call("head", "a"));
    vi.advanceTimersByTime(2000);
    const second = reasonOf(store.call("head", "b"));
    vi.advanceTimersByTime(1500);
    expect(store.waiting).toBe(2);
    vi.advanceTimersByTime(500);
    expect(await first).toBe("stalled");
    expect(store.waiting).toBe(1);
    serve();
    expect(await second).toBe("answered null");
    expect(await reasonOf(store.call("head", "c"))).toBe("answered null");
  });

  test("Y1: a copy of the store takes as long as it takes, and what was asked after it is still watched", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
    const { client: store, far } = client(3000);
    const copied = reasonOf(store.call("backup", "elsewhere"));
    const head = reasonOf(store.call("head", "a"));
    vi.advanceTimersByTime(60_000);
    expect(await head).toBe("stalled");
    expect(store.waiting).toBe(1);
    far.close();
    expect(await copied).toBe("closed");
  });

  test("U3: the store drops a frame that cannot be read, and answers the next", async () => {
    const [near, far] = memoryPipe();
    new StoreServer(new MemoryStore(), () => {}).serve(far);
    for (const garbage of [[0xc1], [], [0x91, 0x90], [0x93, 1, 2]]) near.send(Uint8Array.from(garbage), 1);
    expect(await reasonOf(new StoreClient(near).call("head", "a"))).toBe("answered null");
  });

  test("time in which this thread stood still is not the store's: its answer may be waiting to be read", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
    const { client: store, serve } = client(3000);
    const call = reasonOf(store.call("head", "a"));
    vi.advanceTimersByTime(1000);
    // A synchronous minute: the timer is late, and fires before the port is read.
    const now = performance.now();
    const late = vi.spyOn(performance, "now").mockReturnValue(now + 60_000);
    vi.advanceTimersByTime(1000);
    serve();
    expect(await call).toBe("answered null");
    late.mockRestore();
  });
});
