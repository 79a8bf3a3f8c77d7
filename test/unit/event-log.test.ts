import { describe, expect, test } from "vitest";

import { EventLog } from "../../src/lane/event-log.ts";

const event = (text: string): { type: string; delta: string } => ({ type: "text_delta", delta: text });
const soon = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A log whose spills end when the test says so, having taken what was there when they began. */
class Spilling {
  spills = 0;
  readonly log = new EventLog(() => {
    this.spills++;
    return new Promise<void>((resolve) => (this.#end = resolve));
  });
  #end: (() => void) | undefined;
  #seq = 0;

  add(count: number, text = "x"): (void | Promise<void>)[] {
    return Array.from({ length: count }, () => this.log.add(++this.#seq, 1, event(text)));
  }

  async endSpill(takes: boolean): Promise<void> {
    if (takes) this.log.acknowledged(this.#seq);
    this.#end?.();
    await soon();
  }
}

const seqs = (log: EventLog, from: number): number[] => log.from(from).map(({ seq }) => seq);

describe("EventLog", () => {
  test("V1: an event stays until the store has acknowledged it, and no longer", () => {
    const spilling = new Spilling();
    const { log } = spilling;
    void spilling.add(5);
    expect(seqs(log, 0)).toEqual([1, 2, 3, 4, 5]);
    expect(seqs(log, 4)).toEqual([4, 5]);
    log.acknowledged(3);
    expect(seqs(log, 0)).toEqual([4, 5]);
    expect(log.isEmpty).toBe(false);
    log.acknowledged(5);
    expect(log.isEmpty).toBe(true);
  });

  test("V2: beyond 512 events, or 256 KiB, they are sent ahead, once at a time, and nobody waits", async () => {
    for (const [before, text] of [
      [511, "x"],
      [3, "x".repeat(64 * 1024)],
    ] as const) {
      const spilling = new Spilling();
      void spilling.add(before, text);
      expect(spilling.spills).toBe(0);
      expect(spilling.add(10, text)).toEqual(Array(10).fill(undefined));
      expect(spilling.spills).toBe(1);
      await spilling.endSpill(true);
      expect(spilling.log.isEmpty).toBe(true);
      expect(spilling.spills).toBe(1);
    }
  });

  test("V2: beyond 8 MiB whoever emits waits until the store has taken some; beyond 32 MiB it is full", async () => {
    const spilling = new Spilling();
    const mebibyte = "x".repeat(1024 * 1024);
    const waits = spilling.add(10, mebibyte);
    expect(waits.slice(0, 7)).toEqual(Array(7).fill(undefined));
    const last = waits.at(-1);
    expect(last).toBeInstanceOf(Promise);
    let isOver = false;
    void (last as Promise<void>).then(() => (isOver = true));
    await soon();
    expect(isOver).toBe(false);
    expect(spilling.log.isFull).toBe(false);
    void spilling.add(24, mebibyte);
    expect(spilling.log.isFull).toBe(true);
    await spilling.endSpill(true);
    expect(isOver).toBe(true);
    expect(spilling.log.isFull).toBe(false);
  });

  test("V1: a spill that failed leaves them where they are, and is tried again with the next event", async () => {
    const spilling = new Spilling();
    void spilling.add(512);
    await spilling.endSpill(false);
    expect(seqs(spilling.log, 512)).toEqual([512]);
    void spilling.add(1);
    expect(spilling.spills).toBe(2);
  });
});
