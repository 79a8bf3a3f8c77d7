/** Frames of the data ports and of the store's, single values, and values one behind the other. */
import type { RecordShape } from "../../../src/protocol/frames.ts";
import { COMMANDS, REPORTS } from "../../../src/protocol/frames.ts";
import { STORE_COMMANDS, STORE_REPORTS } from "../../../src/protocol/store-calls.ts";
import { FrameError, decodeValue, decodeValues, encodeFrame, encodeValue, frameReader } from "../../../src/transport/codec.ts";
import type { Boundary, Verdict } from "../boundary.ts";
import { attempt, expectThat } from "../boundary.ts";
import * as make from "../generate.ts";
import { mutateOne } from "../mutate-bytes.ts";
import { notPlain } from "../prototypes.ts";
import type { Random } from "../random.ts";

const isFrameError = (error: unknown): boolean => error instanceof FrameError;

/** Frames of a table's records, filled as the real ones are. */
export function frameOf(random: Random, table: Readonly<Record<string, RecordShape>>): Uint8Array {
  const shapes = Object.values(table);
  const records = make.listOf(random, 4, () => recordOf(random, random.pick(shapes)));
  return encodeFrame(records);
}

function recordOf(random: Random, { op, length, optional = 0 }: RecordShape): unknown[] {
  const members = length - random.below(optional + 1);
  return [op, ...Array.from({ length: members - 1 }, () => memberOf(random))];
}

function memberOf(random: Random): unknown {
  switch (random.below(10)) {
    case 0:
    case 1:
    case 2:
    case 3:
      return random.below(130);
    case 4:
      return make.countOf(random);
    case 5:
      return make.textOf(random);
    case 6:
      return undefined;
    case 7:
      return make.createRequestOf(random);
    case 8:
      return make.wireErrorOf(random);
    default:
      return random.oneIn(4) ? random.bytes(random.below(20)) : make.eventOf(random);
  }
}

/** What every decoder of msgpack is held to. @returns what the bytes are in their own right */
function checkValue(value: unknown, bytes: number): void {
  const problem = notPlain(value, 2 * bytes + 8);
  expectThat(problem === undefined, `what was decoded is no plain data: ${problem}`);
}

/** Encoded and decoded once, a value comes back as the same bytes. */
function checkRoundTrip(value: unknown): void {
  const once = Uint8Array.from(encodeValue(value));
  const twice = Uint8Array.from(encodeValue(decodeValue(once)));
  expectThat(Buffer.compare(once, twice) === 0, "encoded and decoded it is another value");
}

function frames(name: string, table: Readonly<Record<string, RecordShape>>): Boundary<Uint8Array> {
  const read = frameReader<unknown[]>(table);
  const shapes = new Map(Object.values(table).map((shape) => [shape.op, shape]));
  const good = encodeFrame(
    [...shapes.values()].map(({ op, length }) => [op, ...Array.from({ length: length - 1 }, (_, at) => [64 + at, { key: at }])]),
  );
  const goodText = JSON.stringify(read(good));
  const samples = make.samplesOf(200, (random) => frameOf(random, table));
  let cases = 0;
  return {
    name,
    weight: 4,
    make: (random) => mutateOne(random, samples),
    check: (bytes): Verdict => {
      const kept = cases % 64 === 0 ? Uint8Array.from(bytes) : undefined;
      const decoded = attempt(() => read(bytes), isFrameError);
      if (kept !== undefined) expectThat(Buffer.compare(kept, bytes) === 0, "the frame was changed by reading it");
      // Whatever came before it, a good frame is read as ever.
      if (++cases % (decoded === undefined ? 8 : 64) === 0)
        expectThat(JSON.stringify(read(good)) === goodText, "a good frame behind it is read as another one");
      if (decoded === undefined) return "refused";
      for (const record of decoded.value) {
        const shape = shapes.get(record[0] as number);
        expectThat(
          shape !== undefined && record.length <= shape.length && record.length >= shape.length - (shape.optional ?? 0),
          "a record that is not in the table",
        );
      }
      return "accepted";
    },
  };
}

const values = make.samplesOf(200, (random) => Uint8Array.from(encodeValue(make.jsonOf(random, 4))));
const rows = make.samplesOf(200, (random) => Buffer.concat(make.messagesOf(random).map((message) => encodeValue(message))));

const single: Boundary<Uint8Array> = {
  name: "codec: a value",
  weight: 3,
  make: (random) => mutateOne(random, values),
  check: (bytes) => {
    const decoded = attempt(() => decodeValue(bytes), isFrameError);
    if (decoded === undefined) return "refused";
    checkValue(decoded.value, bytes.length);
    checkRoundTrip(decoded.value);
    return "accepted";
  },
};

const several: Boundary<Uint8Array> = {
  name: "codec: values in a row",
  weight: 3,
  make: (random) => mutateOne(random, rows),
  check: (bytes) => {
    const decoded = attempt(() => decodeValues(bytes), isFrameError);
    if (decoded === undefined) return "refused";
    checkValue(decoded.value, bytes.length);
    checkRoundTrip(decoded.value);
    return "accepted";
  },
};

export const CODEC: readonly Boundary<never>[] = [
  frames("frame: commands to a lane", COMMANDS),
  frames("frame: reports of a lane", REPORTS),
  frames("frame: calls of the store", STORE_COMMANDS),
  frames("frame: answers of the store", STORE_REPORTS),
  single,
  several,
] as readonly Boundary[] as readonly Boundary<never>[];
