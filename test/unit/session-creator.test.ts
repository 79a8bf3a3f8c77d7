/** Creates that wait for room, over parts that only say what they are asked. */
import { describe, expect, test } from "vitest";

import { Capacity } from "../../src/core/admission.ts";
import type { Permit } from "../../src/core/admission.ts";
import { SessionCreator } from "../../src/host/session-creator.ts";
import type { CreateOrder, CreatorParts } from "../../src/host/session-creator.ts";

const why = new Error("changed my mind");

/** A host at capacity, whose room is made when the test says so. */
function newCreator(): {
  create: (signal: AbortSignal) => Promise<unknown>;
  give: () => void;
  capacity: Capacity;
  asked: () => number;
  built: number;
} {
  const capacity = new Capacity(1);
  const held = capacity.tryTake() as Permit;
  const seekers: ((permit: Permit | undefined) => void)[] = [];
  const parts = {
    registry: { capacity, liveCount: 1 },
    gate: { enterMain: () => {} },
    isOpen: () => true,
    keeping: { makeRoom: () => new Promise((resolve) => seekers.push(resolve)) },
  };
  const creator = new SessionCreator(parts as unknown as CreatorParts);
  const all = {
    create: (signal: AbortSignal) =>
      creator.create({ request: { prompt: "" }, signal, onBuilt: () => all.built++ } as unknown as CreateOrder),
    give: () => {
      held.release();
      seekers[0]?.(capacity.tryTake());
    },
    capacity,
    asked: () => seekers.length,
    built: 0,
  };
  return all;
}

describe("creates that wait for room", () => {
  test("K3: an abort is answered at once, and a permit that comes later is given back", async () => {
    const host = newCreator();
    const abort = new AbortController();
    const create = host.create(abort.signal);
    await Promise.resolve();
    abort.abort(why);
    await expect(create).rejects.toBe(why);
    expect([host.asked(), host.capacity.held, host.built]).toEqual([1, 1, 1]);
    host.give();
    await new Promise((resolve) => setImmediate(resolve));
    expect(host.capacity.held).toBe(0);
  });

  test("K3: aborted in the moment in which its room is there, it gives it back", async () => {
    const host = newCreator();
    const abort = new AbortController();
    const create = host.create(abort.signal);
    host.give();
    abort.abort(why);
    await expect(create).rejects.toBe(why);
    await new Promise((resolve) => setImmediate(resolve));
    expect([host.capacity.held, host.built]).toEqual([0, 1]);
  });

  test("K3: one that was aborted before has nobody put to sleep", async () => {
    const host = newCreator();
    await expect(host.create(AbortSignal.abort(why))).rejects.toBe(why);
    expect([host.asked(), host.capacity.held, host.built]).toEqual([0, 1, 1]);
  });
});
