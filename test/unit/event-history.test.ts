import { describe, expect, test } from "vitest";

import type { LaneTail } from "../../src/host/event-history.ts";
import { EventHistory } from "../../src/host/event-history.ts";
import { SessionError } from "../../src/protocol/errors.ts";
import { cursorOf, eventIdTail } from "../../src/protocol/ids.ts";
import type { LoggedEvent } from "../../src/protocol/stored-session.ts";

const ID = "0190a8a0-0000-7000-8000-000000000001";
const TAIL = eventIdTail(ID);

const event = (seq: number): { seq: number; timestampMs: number; payload: { type: string; delta: string } } => ({
  seq,
  timestampMs: 1,
  payload: { type: "text_delta", delta: String(seq) },
});
const numbers = (from: number, to: number): number[] => Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => from + i);

/** A session whose events are in the log under the epochs they were made in, and in its lane. */
class Source {
  current = 1;
  log: LoggedEvent[] = [];
  /** Numbers that the lane has not logged; undefined: it is in no lane. */
  inLane: number[] | undefined;
  lastSeq = 0;
  /** Happens between the look at the lane and the one at the log. */
  meanwhile: (() => void) | undefined;

  logs(epoch: number, ...seqs: number[]): this {
    this.log.push(...seqs.map((seq) => ({ ...event(seq), epoch })));
    return this;
  }

  async epoch(): Promise<number> {
    return this.current;
  }
  async lastLogged(maxEpoch = Infinity): Promise<number> {
    return this.log.findLast(({ epoch }) => epoch <= maxEpoch)?.seq ?? 0;
  }
  async logged(from: number): Promise<LoggedEvent[]> {
    return this.log.filter(({ seq }) => seq >= from).slice(0, 512);
  }
  async tail(from: number): Promise<LaneTail | undefined> {
    const tail =
      this.inLane === undefined
        ? undefined
        : { epoch: this.current, lastSeq: this.lastSeq, events: this.inLane.filter((seq) => seq >= from).map(event) };
    this.meanwhile?.();
    this.meanwhile = undefined;
    return tail;
  }
}

const history = (source: Source, after: number | string): EventHistory => new EventHistory(ID, after, source);
const at = (epoch: number, seq: number): string => cursorOf(TAIL, epoch, seq);
const refusal = (field: string): object => ({ code: "INVALID_PARAMS", message: expect.stringContaining(field) });

describe("EventHistory: cursors", () => {
  test("what is no cursor, or another session's, is refused at once", () => {
    for (const [after, what] of [
      ["nonsense", "is not a cursor"],
      ["-1", "is not a cursor"],
      ["1.5", "is not a cursor"],
      [`${TAIL}.1`, "is not a cursor"],
      [`${TAIL}.1.2.3`, "is not a cursor"],
      [-1, "number of an event"],
      [1.5, "number of an event"],
      [Number.NaN, "number of an event"],
      [cursorOf(eventIdTail("0190a8a0-0000-7000-8000-000000000002"), 1, 1), "another session"],
    ] as const) {
      let thrown: unknown;
      try {
        history(new Source(), after);
      } catch (error) {
        thrown = error;
      }
      expect(thrown, `${after}`).toBeInstanceOf(SessionError);
      expect(thrown, `${after}`).toMatchObject(refusal(what));
    }
  });

  test("a cursor stands where it says, whether its event is logged or still with the lane", async () => {
    const source = new Source().logs(1, 1, 2, 3);
    source.inLane = [4, 5];
    source.lastSeq = 5;
    for (const after of [0, "0", "3", at(1, 3), at(1, 4), at(1, 5), 5]) {
      const seq = Number(String(after).split(".").at(-1));
      expect(await history(source, after).position()).toEqual({ after: seq, rolledBack: 0 });
    }
  });

  test("one from the future is refused: by number, of this epoch, of one to come; live or asleep", async () => {
    const source = new Source().logs(1, 1, 2, 3);
    await expect(history(source, 4).position()).rejects.toMatchObject(refusal("from the future"));
    for (const seq of [1, 4]) await expect(history(source, at(2, seq)).position()).rejects.toMatchObject(refusal("from the future"));
    source.inLane = [];
    source.lastSeq = 3;
    for (const after of [4, at(1, 4), at(2, 4)]) {
      await expect(history(source, after).position()).rejects.toMatchObject(refusal("from the future"));
    }
  });

  test("a cursor past what survived is rolled back: of an earlier epoch, and of a session that sleeps since its host crashed", async () => {
    const source = new Source().logs(1, 1, 2).logs(3, 3, 4, 5, 6);
    source.current = 3;
    expect(await history(source, at(1, 5)).position()).toEqual({ after: 2, rolledBack: 3 });
    expect(await history(source, at(2, 5)).position()).toEqual({ after: 2, rolledBack: 3 });
    expect(await history(source, at(1, 2)).position()).toEqual({ after: 2, rolledBack: 0 });
    expect(await history(source, at(3, 8)).position()).toEqual({ after: 6, rolledBack: 2 });
  });

  test("a session that leaves its lane while the cursor is looked at is one that sleeps", async () => {
    const source = new Source().logs(1, 1, 2);
    source.inLane = undefined; // its lane was lost under the question
    source.lastSeq = 4;
    expect(await history(source, at(1, 4)).position()).toEqual({ after: 2, rolledBack: 2 });
  });
});

describe("EventHistory: reading", () => {
  test("T1: an event that is logged between the two looks is read once", async () => {
    const source = new Source();
    source.inLane = [1, 2, 3];
    source.meanwhile = () => {
      source.logs(1, 1, 2);
      source.inLane = [3];
    };
    const page = await history(source, 0).read(1);
    expect(page.map(({ seq }) => seq)).toEqual([1, 2, 3]);
  });

  test("envelopes are those a live reader got: id, source, time and cursor, each with the epoch it was made under", async () => {
    const source = new Source().logs(1, 1).logs(2, 2);
    source.current = 4;
    source.inLane = [3];
    const [first, second] = await history(source, 0).read(1);
    expect(first).toMatchObject({ seq: 1, sourceId: `session:${ID}`, timestampMs: 1, cursor: at(1, 1), payload: { delta: "1" } });
    expect(second).toMatchObject({ cursor: at(2, 2) });
    expect(await history(source, 0).read(3)).toMatchObject([{ seq: 3, cursor: at(4, 3) }]);
  });

  test("a session that wakes between the looks gives its events the epoch of the lane they were in", async () => {
    const source = new Source();
    source.inLane = [1];
    source.meanwhile = () => (source.current = 7);
    expect(await history(source, 0).read(1)).toMatchObject([{ cursor: at(1, 1) }]);
  });

  test("a long past comes page by page, and an empty page means that there is no more", async () => {
    const source = new Source().logs(1, ...numbers(1, 1100));
    source.inLane = numbers(1101, 1103);
    const past = history(source, 0);
    const seen: number[] = [];
    for (let page; (page = await past.read(seen.length + 1)).length > 0;) seen.push(...page.map(({ seq }) => seq));
    expect(seen).toEqual(numbers(1, 1103));
  });

  test("a full page of the log leaves out what the lane has: there may be more between", async () => {
    const source = new Source();
    source.inLane = [600];
    source.meanwhile = () => source.logs(1, ...numbers(1, 599));
    const page = await history(source, 0).read(1);
    expect(page.at(-1)?.seq).toBe(512);
  });
});
