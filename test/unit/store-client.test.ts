import { afterEach, describe, expect, test, vi } from "vitest";

import { StoreServer } from "../../src/store/serve-store.ts";
import { MemoryStore } from "../../src/store/memory-store.ts";
import type { StoreError } from "../../src/protocol/store-error.ts";
import { encodeFrame } from "../../src/transport/codec.ts";
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

describe("garbage on the ports of the store's thread", () => {
  test("Y2: an answer that cannot be read is dropped, and the next one is taken", async () => {
    const { client: store, far, serve } = client();
    for (const bytes of [[0xc1], [], [0x91, 0x92, 1], [0x00, 0x00]]) far.send(Uint8Array.from(bytes));
    serve();
    expect(await reasonOf(store.call("head", "a"))).toBe("answered null");
  });

  test.each<[string, unknown]>([
    ["nothing", null],
    ["a text", "failed"],
    ["a reason that is none", { reason: "constructor", message: 5, details: 5 }],
  ])("Y1: an error that is %s rejects with a StoreError", async (_, wire) => {
    const { client: store, far } = client();
    const call = store.call("head", "a");
    far.onFrame(() => far.send(encodeFrame([[2, 1, wire]])));
    await expect(call).rejects.toMatchObject({ name: "StoreError", reason: "io", message: expect.any(String) as string, details: {} });
  });

  test("U3: calls that are none are dropped, and the next one is answered", async () => {
    const { client: store, serve } = client();
    serve();
    const raw = (...call: unknown[]): Promise<string> => reasonOf(store.call(...(call as ["head", string])));
    const [port, far] = memoryPipe();
    new StoreServer(new MemoryStore(), () => {}).serve(far);
    for (const [request, args] of [
      [2n ** 63n, []],
      [null, ["a"]],
      [{}, []],
      [1, null],
      [1, "text"],
      [-1, []],
    ] as const) {
      port.send(encodeFrame([[1, request, "head", args]]));
    }
    const other = new StoreClient(port);
    expect(await reasonOf(other.call("head", "a"))).toBe("answered null");
    expect(await raw("constructor", "a")).toBe("io");
    expect(await raw("__proto__", "a")).toBe("io");
    expect(await raw("head", "a")).toBe("answered null");
  });

  const fail = (): never => {
    throw new Error("from a getter");
  };
  test.each<[string, unknown]>([
    ["nothing", undefined],
    ["an object without a text", Object.create(null)],
    ["an error whose message cannot be read", Object.defineProperty(new Error("x"), "message", { get: fail })],
    ["an error whose details cannot be read", { reason: "fenced", get details() { return fail(); } }], // prettier-ignore
    ["a reason that is none", { reason: "constructor", message: "m" }],
    ["details that no frame holds", { reason: "io", message: "m", details: { a: 10n ** 30n, f: () => 1 } }],
  ])("U2: a store that throws %s: its call is answered, and so is the next", async (_, thrown) => {
    const { client: store, serve } = client();
    const failing = new MemoryStore();
    failing.head = () => Promise.reject(thrown as Error);
    serve(failing);
    expect(await reasonOf(store.call("head", "a"))).toBe("io");
    expect(await reasonOf(store.call("fence", "a"))).toBe("answered null");
  });
});
