import { describe, expect, test } from "vitest";

import type { SystemContextLedger } from "../../src/core/system-context.ts";
import type { SessionEntry } from "../../src/host/session-entry.ts";
import { WakingContext } from "../../src/host/waking-context.ts";
import type { SleepingSession } from "../../src/protocol/stored-session.ts";
import type { PendingSystemContextAppend } from "../../src/protocol/session-model.ts";

const append = (text: string): PendingSystemContextAppend => ({ text, acceptedAt: 1 });
const stored = (taken: number, ...pending: string[]): SleepingSession =>
  ({
    head: { contextTaken: taken },
    context: { staged: pending.length, pending: pending.map(append), seen: {} },
  }) as unknown as SleepingSession;
const NOTHING = { head: { contextTaken: 0 }, context: undefined } as unknown as SleepingSession;

function waking(what: SleepingSession): { context: WakingContext; fed: string[]; entry: SessionEntry; what: SleepingSession } {
  const fed: string[] = [];
  const entry = { state: "live" } as SessionEntry;
  const context = new WakingContext(Promise.resolve(what), (_entry, { text }) => fed.push(text));
  return { context, fed, entry, what };
}

/** As the service does: into the ledger, then told. */
async function stage(context: WakingContext, text: string): Promise<void> {
  (await context.ledger()).add(append(text));
  context.staged(append(text));
}

const pendingOf = (ledger: SystemContextLedger | undefined): string[] | undefined => ledger?.snapshot().pending.map(({ text }) => text);

describe("WakingContext", () => {
  test("what is staged before the session is live is fed once it is, in order, and is in its ledger behind what was stored", async () => {
    const { context, fed, entry, what } = waking(stored(1, "taken", "stored"));
    await stage(context, "1");
    await stage(context, "2");
    expect(fed).toEqual([]);
    context.live(entry, what);
    expect(fed).toEqual(["1", "2"]);
    expect(pendingOf(entry.ledger)).toEqual(["stored", "1", "2"]);
  });

  test("an append whose write ends after the session is live is fed at once, into the same ledger", async () => {
    const { context, fed, entry, what } = waking(NOTHING);
    const ledger = await context.ledger();
    context.live(entry, what);
    ledger.add(append("late"));
    context.staged(append("late"));
    expect(fed).toEqual(["late"]);
    expect(entry.ledger).toBe(ledger);
  });

  test("one that is live no longer is not fed: its next wake-up finds the append in the store", async () => {
    const { context, fed, entry, what } = waking(NOTHING);
    await context.ledger();
    context.live(entry, what);
    entry.state = "gone";
    context.staged(append("late"));
    expect(fed).toEqual([]);
  });

  test("one that is about to sleep or to move is fed: it may stay", async () => {
    const { context, fed, entry, what } = waking(NOTHING);
    await context.ledger();
    context.live(entry, what);
    entry.state = "hibernating";
    context.staged(append("late"));
    expect(fed).toEqual(["late"]);
  });

  test("a session nothing was ever staged for has no ledger when it is live", () => {
    const { context, entry, what } = waking(NOTHING);
    context.live(entry, what);
    expect(entry.ledger).toBeUndefined();
  });

  test("there is no ledger of a session that is not there", async () => {
    const context = new WakingContext(Promise.reject(new Error("not found")), () => {});
    await expect(context.ledger()).rejects.toThrow("not found");
  });
});
