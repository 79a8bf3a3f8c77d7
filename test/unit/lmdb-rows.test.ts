/** Rows as bytes: what is of the right shape is read, and whatever is not is said to be corrupt, naming the row. */
import { inspect } from "node:util";

import { describe, expect, test } from "vitest";

import { StoreError } from "../../src/protocol/store-error.ts";
import * as keys from "../../src/store/lmdb-keys.ts";
import * as rows from "../../src/store/lmdb-rows.ts";
import { encodeValue } from "../../src/transport/codec.ts";
import * as parts from "../../src/transport/packed-session.ts";

const HEAD = [1, 1, 1, 1, 1000.5, 2000, false, 3, [1, 2, null, null], { team: "red" }, 4, 0, 0, 100, null, null];
const RESULT = [7, null, "said", 1, 0, [1, 2, null, null], null];
const ORIGIN = [1, "agent", { prompt: "", maxTokens: 5, labels: { a: "b" }, isolation: "shared", ofAnotherVersion: 1 }];
const STATE = [1, "system", { a: 1 }];
const CONTEXT = [1, 1, [{ text: "a", acceptedAt: 1 }], { key: { text: "a", state: "applied" } }];
const NO_RECORDS: unknown[] = [null, 5, "text", [], new Date(0), new Uint8Array(0)];
const NO_COUNTS: unknown[] = [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, "1", null, 5n];

/** The row with one member replaced, given by its path. */
function withMember(row: readonly unknown[], path: readonly (string | number)[], value: unknown): unknown[] {
  const copy = structuredClone(row) as unknown[];
  let at = copy as unknown as Record<string | number, unknown>;
  for (const step of path.slice(0, -1)) at = at[step] as Record<string | number, unknown>;
  at[path.at(-1) as string | number] = value;
  return copy;
}

type Wrong = readonly [path: readonly (string | number)[], values: readonly unknown[]];

describe.each<[string, unknown[], (bytes: Uint8Array) => unknown, readonly Wrong[]]>([
  [
    "head",
    HEAD,
    (bytes) => rows.decodeHead(bytes, "s", false),
    [
      ...[1, 2, 3, 7, 10, 11, 12, 13].map((at): Wrong => [[at], NO_COUNTS]),
      ...[4, 5].map((at): Wrong => [[at], [-1, Number.NaN, Number.POSITIVE_INFINITY, "1", null]]),
      [[1], [2 ** 40]],
      [[7], [2 ** 32]],
      [[12], [2 ** 32]],
      [[6], [0, null]],
      [[8], [null, [1, 2], [1, 0.5, null, null], [1, 2, -1, null], { 0: 1 }]],
      [[9], [...NO_RECORDS, { a: 1 }]],
      [[14], [-1, "1", 0.5]],
      [[15], ["bytes", 5, []]],
    ],
  ],
  [
    "turn",
    [1, "text", RESULT],
    (bytes) => parts.decodeTurn(bytes, "s"),
    [
      [[1], [5, []]],
      [[2], [5, {}, []]],
      ...[0, 3, 4].map((at): Wrong => [[2, at], NO_COUNTS]),
      [[2, 1], [5]],
      [[2, 2], [5]],
      [[2, 5], [[1, 2]]],
      [
        [2, 6],
        [[], 5, new Date(0), { schemaWarnings: 5 }],
      ],
    ],
  ],
  [
    "state",
    STATE,
    (bytes) => parts.decodeState(bytes, "s"),
    [
      [[1], [5, []]],
      [[2], NO_RECORDS],
    ],
  ],
  [
    "origin",
    ORIGIN,
    (bytes) => parts.decodeOrigin(bytes, "s"),
    [
      [[1], [null, 5]],
      [[2], NO_RECORDS],
      [[2, "maxTokens"], NO_COUNTS.filter((value) => value !== undefined)],
      [
        [2, "labels"],
        [...NO_RECORDS, { a: 1 }],
      ],
      [
        [2, "isolation"],
        ["other", 1],
      ],
      [[2, "hostMode"], [1]],
      [[2, "model"], [1]],
      [[2, "build"], NO_RECORDS],
      [
        [2, "skillReferences"],
        [{}, [5], [{ sourceUuid: "a" }]],
      ],
    ],
  ],
  [
    "context",
    CONTEXT,
    (bytes) => rows.decodeContext(bytes, "s"),
    [
      [[1], [...NO_COUNTS, 0]],
      [[2], [{}, [5], [{}]]],
      [[2, 0, "text"], [1]],
      [
        [2, 0, "acceptedAt"],
        [-1, "1"],
      ],
      [[3], [...NO_RECORDS, { a: 1 }]],
      [
        [3, "key", "state"],
        ["other", null],
      ],
    ],
  ],
])("row %s", (name, good, decode, wrong) => {
  test("as it is written", () => {
    expect(decode(encodeValue(good))).toBeDefined();
  });

  test.each(wrong.flatMap(([path, values]) => values.map((value) => [`${path.join(".")}: ${inspect(value)}`, value, path] as const)))(
    "%s",
    (_, value, path) => {
      let thrown: unknown;
      try {
        decode(encodeValue(withMember(good, path, value)));
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toBeInstanceOf(StoreError);
      expect(thrown).toMatchObject({ reason: "corrupt", details: { session: "s", row: name } });
    },
  );
});

test("a turn's row says of a result what a result has, and nothing else", () => {
  const row = withMember([1, "text", RESULT], [2, 6], { text: 5, usage: null, structuredOutput: 1, stranger: 2 });
  expect(parts.decodeTurn(encodeValue(row), "s").lastTurn?.result).toMatchObject({
    text: "said",
    structuredOutput: 1,
    usage: { inputTokens: 1 },
  });
  expect(parts.decodeTurn(encodeValue(row), "s").lastTurn?.result).not.toHaveProperty("stranger");
});

describe("keys that are none", () => {
  test("name nothing", () => {
    for (const length of [0, 4, 6, 8, 10, 12, 20]) {
      const key = Buffer.alloc(length);
      expect([keys.numberOf(key), keys.indexOf(key), keys.seqOf(key)]).toEqual([-1, -1, -1]);
    }
    expect([keys.idOfUpdated(Buffer.alloc(5)), keys.idOfLabel(Buffer.alloc(9))]).toEqual(["", ""]);
  });

  test("-0 is the same time as 0", () => {
    expect(keys.updatedKey(false, -0, "s")).toEqual(keys.updatedKey(false, 0, "s"));
  });
});
