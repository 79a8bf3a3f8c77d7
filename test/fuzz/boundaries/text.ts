/** Text and bytes from files and the command line, and small things that are parsed: lines, records, cursors, ids, option values. */
import { isDeepStrictEqual } from "node:util";

import { InvalidArgumentError } from "commander";

import { readEarlierResults } from "../../../src/cli/earlier-results.ts";
import { LineIds } from "../../../src/cli/line-ids.ts";
import { LineSplitter } from "../../../src/cli/line-splitter.ts";
import type { Line } from "../../../src/cli/line-splitter.ts";
import * as optionValues from "../../../src/cli/option-values.ts";
import { printable, printableLines } from "../../../src/cli/printable.ts";
import { newSessionOf, parseSessionRecord } from "../../../src/cli/session-record.ts";
import { parseTurnLine } from "../../../src/cli/turn-line.ts";
import { cursorOf, eventIdOf, eventIdTail, parseCursor } from "../../../src/protocol/ids.ts";
import type { Boundary, Verdict } from "../boundary.ts";
import { attempt, expectThat } from "../boundary.ts";
import * as make from "../generate.ts";
import { notPlain } from "../prototypes.ts";
import type { Random } from "../random.ts";

const SNIPPETS = ["\n", "\r\n", "\r", "\u2028", "\ufeff", "\0", "\ud800", '"', "\\", "\\u0000", "{", "}", "[", ",", ":", "null", "-0", "1e999", "1e-400", "9007199254740993", "true", '"__proto__":{"admin":true}', '"constructor":{"prototype":{"admin":true}}', '"session":"a",', "\u001b[2J", "x".repeat(300)] as const; // prettier-ignore

/** A text, damaged: characters replaced, removed, doubled, snippets put in, another text spliced in. */
export function mutateText(random: Random, samples: readonly string[]): string {
  let text = random.pick(samples);
  for (let left = random.oneIn(10) ? 0 : 1 + random.below(3); left > 0; left--) {
    const at = random.below(text.length + 1);
    const to = Math.min(text.length, at + random.below(6));
    switch (random.below(7)) {
      case 0:
        text = text.slice(0, at) + text.slice(to);
        break;
      case 1:
        text = text.slice(0, at);
        break;
      case 2:
        text = text.slice(0, to) + text.slice(at, to) + text.slice(to);
        break;
      case 3:
        text = text.slice(0, at) + random.pick(samples).slice(random.below(40));
        break;
      case 4:
        text = text.slice(0, at) + String.fromCharCode(random.below(random.oneIn(2) ? 128 : 0x10000)) + text.slice(at + 1);
        break;
      case 5: {
        const levels = random.oneIn(100) ? 50_000 : random.below(300);
        text = text.slice(0, at) + random.pick(["[", '{"a":']).repeat(levels) + text.slice(at);
        break;
      }
      default:
        text = text.slice(0, at) + random.pick(SNIPPETS) + text.slice(to);
    }
  }
  return text;
}

/** The key `__proto__` in JSON is a member of its own to JSON.parse: it must not come out as one, nor as a prototype. */
function checkParsed(value: unknown): void {
  const problem = notPlain(value, 1_000_000);
  expectThat(problem === undefined, `no plain data: ${problem}`);
}

const turnLines = make.samplesOf(200, (random) =>
  JSON.stringify({
    session: make.nameOf(random),
    prompt: make.textOf(random),
    ...(random.oneIn(2) && { id: make.nameOf(random) }),
    ...(random.oneIn(2) && { labels: { [make.nameOf(random)]: "a" } }),
    ...(random.oneIn(2) && { timeoutMs: 5 }),
    ...(random.oneIn(2) && { expect: random.oneIn(2) ? { text: "a" } : { error: "SESSION_BUSY" } }),
  }),
);
const turnLine: Boundary<string> = {
  name: "line of a run's input",
  weight: 2,
  make: (random) => mutateText(random, turnLines),
  check: (line) => {
    const parsed = parseTurnLine(line);
    if (parsed === undefined || "problem" in parsed) {
      expectThat(parsed === undefined || (typeof parsed.problem === "string" && parsed.problem !== ""), "a problem in words");
      expectThat(parsed !== undefined || line.trim() === "", "a line that is not blank says something");
      return "refused";
    }
    checkParsed(parsed.turn);
    const { session, prompt } = parsed.turn;
    expectThat(typeof session === "string" && session !== "" && typeof prompt === "string", "a session and a prompt");
    const again = parseTurnLine(JSON.stringify(parsed.turn));
    expectThat(isDeepStrictEqual(again, parsed), "written and parsed again it is another turn");
    const ids = new LineIds(true);
    expectThat(!("problem" in ids.take(1, parsed.turn)), "an id");
    return "accepted";
  },
};

const sessionLines = make.samplesOf(200, (random) => {
  const { messages, state, ...rest } = make.newSessionOf(random);
  const { system = "first", ...others } = state;
  return JSON.stringify({
    format: "warren-session/1",
    isArchived: false,
    ...rest,
    ...others,
    system,
    context: make.contextOf(random),
    messages,
  });
});
const sessionLine: Boundary<string> = {
  name: "line of an export",
  weight: 2,
  make: (random) => mutateText(random, sessionLines),
  check: (line) => {
    const parsed = parseSessionRecord(line);
    if ("problem" in parsed) {
      expectThat(typeof parsed.problem === "string" && parsed.problem !== "", "a problem in words");
      return "refused";
    }
    checkParsed(parsed.record);
    checkParsed(newSessionOf(parsed.record));
    expectThat(
      isDeepStrictEqual(parseSessionRecord(JSON.stringify(parsed.record)), withoutMinusZero(parsed)),
      "written and parsed again it is another session",
    );
    return "accepted";
  },
};
const withoutMinusZero = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

const resultLines = make.samplesOf(50, (random) =>
  random.pick([
    JSON.stringify({ session: make.nameOf(random), id: make.nameOf(random), turn: 1, line: 1, ok: true, text: make.textOf(random) }),
    JSON.stringify({ event: { seq: 1, payload: make.eventOf(random) }, session: "s", turn: 1 }),
    JSON.stringify({ line: 3, ok: false, error: { code: "INVALID_PARAMS", message: "line 3: no" } }),
  ]),
);
const resultFiles = make.samplesOf(100, (random) => make.listOf(random, 6, () => `${random.pick(resultLines)}\n`).join(""));

async function* inChunks(bytes: Buffer, size: number): AsyncIterable<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const earlierResults: Boundary<string> = {
  name: "results of an earlier run",
  make: (random) => mutateText(random, resultFiles),
  check: async (text): Promise<Verdict> => {
    const bytes = Buffer.from(text);
    const outcomes: unknown[] = [];
    for (const size of [bytes.length + 1, small(bytes)]) {
      try {
        outcomes.push(await readEarlierResults(inChunks(bytes, size)));
      } catch (error) {
        expectThat(error instanceof Error && /^its line \d+ /.test(error.message), `an error that names the line: ${String(error)}`);
        outcomes.push(error.message);
      }
    }
    expectThat(isDeepStrictEqual(outcomes[0], outcomes[1]), "where chunks end makes a difference");
    return typeof outcomes[0] === "string" ? "refused" : "accepted";
  },
};

/** A chunk of a few bytes; of long ones more, which take their time. */
function small(bytes: Buffer): number {
  return Math.max(1 + (bytes.length % 7), Math.ceil(bytes.length / 1000));
}

const LINE_MAX = 64;
const lines: Boundary<string> = {
  name: "lines of bytes",
  weight: 2,
  make: (random) => mutateText(random, resultFiles) + (random.oneIn(2) ? Buffer.from(random.bytes(20)).toString("latin1") : ""),
  check: (text) => {
    const bytes = Buffer.from(text, text.length % 2 === 0 ? "utf8" : "latin1");
    const split = (size: number): Line[] => {
      const splitter = new LineSplitter(LINE_MAX);
      const found: Line[] = [];
      for (let at = 0; at < bytes.length; at += size) found.push(...splitter.push(bytes.subarray(at, at + size)));
      found.push(...splitter.end());
      return found;
    };
    const whole = split(bytes.length + 1);
    expectThat(isDeepStrictEqual(split(small(bytes)), whole), "where chunks end makes a difference");
    for (const [at, line] of whole.entries()) {
      expectThat(line.number === at + 1, "numbers without a gap");
      expectThat(!("text" in line) || Buffer.byteLength(line.text) <= LINE_MAX, "a line that is too long");
    }
    return whole.some((line) => "problem" in line) ? "refused" : "accepted";
  },
};

const cursors = make.samplesOf(100, (random) => cursorOf(eventIdTail(make.nameOf(random)), random.below(1e9), make.countOf(random) % 1e14));
const cursor: Boundary<string> = {
  name: "event cursor",
  make: (random) => mutateText(random, cursors),
  check: (text) => {
    const parsed = parseCursor(text);
    if (parsed === undefined) return "refused";
    const { tail, epoch, seq } = parsed;
    expectThat(Number.isSafeInteger(epoch) && Number.isSafeInteger(seq) && epoch >= 0 && seq >= 0, "numbers that are exact");
    expectThat(isDeepStrictEqual(parseCursor(cursorOf(tail, epoch, seq)), parsed), "written and parsed again it is another cursor");
    return "accepted";
  },
};

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const ids: Boundary<[string, number, number]> = {
  name: "event id of any session",
  make: (random) => [mutateText(random, cursors), random.pick([0, 1, 1_760_000_000_000, 2 ** 48 - 1]), make.countOf(random)],
  check: ([id, timestampMs, seq]) => {
    const eventId = eventIdOf(timestampMs, seq, eventIdTail(id));
    expectThat(UUID.test(eventId), `an id that is no UUID: ${eventId}`);
    return "accepted";
  },
};

const values = [
  "1",
  "2147483647",
  "0",
  "-1",
  "1.5",
  "1e3",
  " 1",
  "0x10",
  "9007199254740993",
  "a=b",
  "=b",
  "a=",
  "__proto__=1",
  "a=b=c",
  "",
];
const option: Boundary<string> = {
  name: "option value",
  make: (random) => mutateText(random, values),
  check: (text) => {
    let accepted = 0;
    const parse = <T>(read: () => T, check: (value: T) => boolean): void => {
      const parsed = attempt(read, (error) => error instanceof InvalidArgumentError);
      if (parsed === undefined) return;
      expectThat(check(parsed.value), `${JSON.stringify(text)} became ${JSON.stringify(parsed.value)}`);
      accepted++;
    };
    parse(
      () => optionValues.integer(1000)(text),
      (value) => Number.isInteger(value) && value >= 1 && value <= 1000,
    );
    parse(
      () => optionValues.count(text),
      (value) => Number.isSafeInteger(value) && value >= 0,
    );
    parse(
      () => optionValues.label(text),
      (labels) => Object.keys(labels).length === 1 && Object.getPrototypeOf(labels) === Object.prototype,
    );
    return accepted > 0 ? "accepted" : "refused";
  },
};

const shown: Boundary<string> = {
  name: "text for a terminal",
  make: (random) => mutateText(random, turnLines),
  check: (text) => {
    const line = printable(text, 100);
    expectThat(line.length <= 101 && !/[\u0000-\u001f\u007f-\u009f]/.test(line), "control characters, or too long"); // eslint-disable-line no-control-regex
    expectThat(!/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/.test(printableLines(text)), "control characters"); // eslint-disable-line no-control-regex
    return "accepted";
  },
};

export const TEXT: readonly Boundary<never>[] = [
  turnLine,
  sessionLine,
  earlierResults,
  lines,
  cursor,
  ids,
  option,
  shown,
] as readonly Boundary[] as readonly Boundary<never>[];
