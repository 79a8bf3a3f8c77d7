import fc from "fast-check";
import { expect, test } from "vitest";

import { LaneWords } from "../../src/core/lane-words.ts";
import { PollRights } from "../../src/host/poll-rights.ts";

test("at any time those lanes may poll that were sent to last, one fewer than there are cores", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.array(fc.nat({ max: 6 }), { maxLength: 50 }), (cores, sends) => {
      const lanes = Array.from({ length: 7 }, () => new LaneWords());
      const rights = new PollRights(cores);
      const recent: number[] = [];
      for (const lane of sends) {
        rights.grant(lanes[lane] as LaneWords);
        recent.unshift(lane);
        const expected = new Set([...new Set(recent)].slice(0, cores - 1));
        expect(lanes.map((words) => words.mayPoll())).toEqual(lanes.map((_, number) => expected.has(number)));
      }
    }),
  );
});
