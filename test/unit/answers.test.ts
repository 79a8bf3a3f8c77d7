/** What servers remember through their host: V1, V2. */
import { afterEach, describe, expect, test, vi } from "vitest";

import type { Answers } from "../../src/host/answers.ts";
import { AnswersInMemory, StoredAnswers } from "../../src/host/answers.ts";
import { StoredSessions } from "../../src/host/stored-sessions.ts";
import { ANSWER_BYTES_MAX, ANSWER_KEY_MAX } from "../../src/protocol/answers.ts";
import type { SessionError } from "../../src/protocol/errors.ts";
import { MemoryStore } from "../../src/store/memory-store.ts";
import { clientOf } from "./support/kept-agent.ts";

afterEach(() => void vi.useRealTimers());
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (value: Uint8Array | undefined): string | undefined => value && new TextDecoder().decode(value);
const errorOf = (call: Promise<unknown>): Promise<SessionError> =>
  call.then(
    () => Promise.reject(new Error("it resolved")),
    (error: SessionError) => error,
  );

const kinds: [string, () => { answers: Answers; close: () => Promise<void> }][] = [
  [
    "in memory",
    () => {
      let isClosed = false;
      return { answers: new AnswersInMemory(() => isClosed), close: async () => void (isClosed = true) };
    },
  ],
  [
    "in a store",
    () => {
      let isOpen = true;
      const client = clientOf(new MemoryStore());
      const close = async (): Promise<void> => {
        isOpen = false;
        await client.call("close");
        client.close();
      };
      return { answers: new StoredAnswers(new StoredSessions(client, () => isOpen)), close };
    },
  ],
];

describe.each(kinds)("answers %s", (_, make) => {
  test("V1, V2: an answer is found until its time is over; a claim lays one down, or is given the one that is there", async () => {
    vi.useFakeTimers({ now: 1000, toFake: ["Date"] });
    const { answers, close } = make();
    expect(await answers.get("k")).toBeUndefined();
    const value = bytes("first");
    expect(await answers.claim("k", value, 2000)).toBeUndefined();
    value.fill(0);
    expect([textOf(await answers.claim("k", bytes("other"), 9000)), textOf(await answers.get("k"))]).toEqual(["first", "first"]);
    await answers.put("k", bytes("second"), 3000);
    vi.setSystemTime(2999);
    expect(textOf(await answers.get("k"))).toBe("second");
    vi.setSystemTime(3000);
    expect([await answers.get("k"), await answers.claim("k", bytes("third"), 4000)]).toEqual([undefined, undefined]);
    expect([await answers.remove("k"), await answers.remove("k"), await answers.get("k")]).toEqual([true, false, undefined]);
    await close();
  });

  test("what cannot be one is refused, and names its field", async () => {
    const { answers, close } = make();
    const fieldOf = async (call: Promise<unknown>): Promise<unknown> => (await errorOf(call)).details?.["field"];
    for (const key of ["", "k".repeat(ANSWER_KEY_MAX + 1), "\ud83d", 5 as never]) {
      const calls = [answers.get(key), answers.put(key, bytes(""), 1), answers.claim(key, bytes(""), 1), answers.remove(key)];
      expect(await Promise.all(calls.map(fieldOf))).toEqual(["key", "key", "key", "key"]);
    }
    const tooLong = new Uint8Array(ANSWER_BYTES_MAX + 1);
    expect(await Promise.all([answers.put("k", tooLong, 1), answers.claim("k", "text" as never, 1)].map(fieldOf))).toEqual([
      "value",
      "value",
    ]);
    expect(await Promise.all([answers.put("k", bytes(""), 1.5), answers.claim("k", bytes(""), -1)].map(fieldOf))).toEqual([
      "expiresAt",
      "expiresAt",
    ]);
    await close();
  });

  test("when the host is closed every call says so", async () => {
    const { answers, close } = make();
    await answers.put("k", bytes("v"), Date.now() + 1000);
    await close();
    const calls = [answers.get("k"), answers.put("k", bytes(""), 1), answers.claim("k", bytes(""), 1), answers.remove("k")];
    expect((await Promise.all(calls.map(errorOf))).map(({ code }) => code)).toEqual(Array.from({ length: 4 }, () => "HOST_CLOSED"));
  });
});

test("in memory there is an end: what was used least recently goes", async () => {
  const answers = new AnswersInMemory(() => false);
  const later = Date.now() + 60_000;
  const whole = new Uint8Array(ANSWER_BYTES_MAX);
  for (let n = 0; n < 70; n++) {
    await answers.put(`k${n}`, whole, later);
    await answers.get("k0");
  }
  expect([(await answers.get("k0"))?.length, await answers.get("k1"), (await answers.get("k69"))?.length]).toEqual([
    ANSWER_BYTES_MAX,
    undefined,
    ANSWER_BYTES_MAX,
  ]);
});
