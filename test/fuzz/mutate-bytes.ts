/** Bytes that were valid, damaged: at random, and where it hurts (lengths, keys, extensions, nesting). */
import { HOSTILE_KEYS } from "./generate.ts";
import type { Token } from "./msgpack-tokens.ts";
import { tokensOf } from "./msgpack-tokens.ts";
import type { Random } from "./random.ts";

const text = (value: string): number[] => [0xd9, value.length, ...Buffer.from(value, "latin1")];
const HUGE = [0xff_ff_ff_ff, 0x7f_ff_ff_ff, 0x80_00_00_00, 0x01_00_00_00, 0x00_10_00_00, 0x00_00_ff_ff, 0x00_00_01_00];
/** Tokens with a length of 32 bits. */
const LONG = { array: 0xdd, map: 0xdf, text: 0xdb, bytes: 0xc6, ext: 0xc9 };
/** Types of extensions that decoders of this family know: undefined, big number, error, identity, pointer, record, set, typed array, pattern, bundled texts, date. */
const EXTENSIONS = [0x00, 0x42, 0x65, 0x69, 0x70, 0x72, 0x73, 0x74, 0x78, 0x62, 0xff] as const;
const METHODS = [
  "valueOf",
  "toString",
  "__lookupGetter__",
  "__defineGetter__",
  "__proto__",
  "constructor",
  "Error",
  "TypeError",
  "isPrototypeOf",
] as const;

/** Whole values that no encoder of ours writes. */
const STRANGERS: readonly ((random: Random) => number[])[] = [
  () => [0xc1],
  (random) => [0xd4, random.pick(EXTENSIONS), random.below(256)],
  (random) => [0xd5, random.pick(EXTENSIONS), random.below(256), random.below(256)],
  (random) => [0xd6, random.pick(EXTENSIONS), ...u32(random.pick([0, 1, 5, ...HUGE]))],
  (random) => [0xd7, random.pick(EXTENSIONS), ...random.bytes(8)],
  (random) => [0xc7, 12, random.pick(EXTENSIONS), ...random.bytes(12)],
  (random) => [0xd8, random.pick(EXTENSIONS), ...random.bytes(16)],
  // A record: its definition, its keys, its values; and a reference to one.
  (random) => [0xd4, 0x72, 0x40 + random.below(64), 0x92, ...text(random.pick(HOSTILE_KEYS)), ...text("a"), 0x01, 0x80],
  (random) => [0xd5, 0x72, 0x40 + random.below(64), random.below(4), 0x91, ...text(random.pick(HOSTILE_KEYS)), 0x01],
  (random) => [0x40 + random.below(64)],
  // An error by the name of a method, an identity and a pointer to it, a pattern, a set, a map with a list for its key.
  (random) => [0xd4, 0x65, 0, 0x93, ...text(random.pick(METHODS)), ...text("__proto__"), 0xc0],
  () => [0xd6, 0x69, 0, 0, 0, 1, 0x91, 0xd6, 0x70, 0, 0, 0, 1],
  () => [0xd6, 0x69, 0, 0, 0, 1, 0x81, 0xa1, 0x61, 0xd6, 0x70, 0, 0, 0, 1],
  () => [0xd4, 0x78, 0, 0x92, ...text("(a+)+$"), ...text("g")],
  () => [0xd4, 0x73, 0, 0x92, 1, 2],
  () => [0x81, 0x91, 0x01, 0x02],
  (random) => [0x81, ...text(random.pick(HOSTILE_KEYS)), 0x81, 0xa5, ...Buffer.from("admin"), 0xc3],
  (random) => [0xd6, 0x62, ...u32(random.pick([0, 4, 8, 0xff_ff_ff_f0, 0xff_ff_ff_fe, 6])), 0xa1, 0x61, 0xa1, 0x62],
  // Numbers: not one, minus nothing, infinite, too large to be exact, of 64 bits.
  () => [0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0],
  () => [0xcb, 0x80, 0, 0, 0, 0, 0, 0, 0],
  () => [0xcb, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0],
  () => [0xcb, 0x43, 0x40, 0, 0, 0, 0, 0, 1],
  () => [0xcb, 0x3f, 0xe0, 0, 0, 0, 0, 0, 0],
  (random) => [random.pick([0xcf, 0xd3]), ...random.bytes(8)],
  () => [0xcf, 0, 0, 0, 0, 0, 0, 0, 5],
  () => [0xca, 0x7f, 0xc0, 0, 0],
  // Where anything may stand.
  () => [0xc0],
  () => [0xc3],
  () => [0x90],
  () => [0x80],
  () => [0xa0],
  () => [0xff],
  () => [0xc4, 0],
  () => [0xa3, 0xed, 0xa0, 0x80],
  (random) => text(random.pick(HOSTILE_KEYS)),
];

/** Of samples, which are met again and again; of bytes that are damaged it would only hold them up in memory. */
const known = new WeakMap<Uint8Array, Token[]>();

function tokensOfSample(bytes: Uint8Array): Token[] {
  let tokens = known.get(bytes);
  if (tokens === undefined) known.set(bytes, (tokens = tokensOf(bytes)));
  return tokens;
}

function u32(value: number): number[] {
  return [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
}

/** @param samples - valid ones. @returns one of them, damaged; now and then as it was */
export function mutateOne(random: Random, samples: readonly Uint8Array[]): Uint8Array {
  return mutateBytes(random, random.pick(samples), random.pick(samples));
}

/** @param other - another valid text, to be spliced in. @returns damaged bytes; now and then the bytes as they were */
export function mutateBytes(random: Random, bytes: Uint8Array, other: Uint8Array): Uint8Array {
  let damaged = bytes;
  for (let left = random.oneIn(16) ? 0 : 1 + random.below(random.oneIn(4) ? 6 : 2); left > 0; left--) {
    if (random.oneIn(3)) damaged = blind(random, damaged, other);
    else damaged = aimed(random, damaged, damaged === bytes ? tokensOfSample(bytes) : tokensOf(damaged), other);
    if (damaged.length > 64 * 1024) return damaged;
  }
  return damaged;
}

function blind(random: Random, bytes: Uint8Array, other: Uint8Array): Uint8Array {
  const at = random.below(bytes.length + 1);
  const to = Math.min(bytes.length, at + random.below(random.oneIn(4) ? bytes.length : 8));
  switch (random.below(9)) {
    case 0:
      return bytes.subarray(0, at);
    case 1:
      return bytes.subarray(at);
    case 2:
      return put(bytes, at, to, []);
    case 3:
      return put(bytes, at, at, bytes.subarray(at, to));
    case 4:
      return put(bytes, at, to, random.bytes(random.below(9)));
    case 5:
      return put(bytes, at, bytes.length, other.subarray(random.below(other.length)));
    case 6:
      return random.bytes(random.below(40));
    case 7:
      return put(bytes, at, Math.min(at + 1, bytes.length), [random.below(256)]);
    default: {
      const flipped = Uint8Array.from(bytes);
      if (flipped.length > 0) flipped[at % flipped.length] = (flipped[at % flipped.length] as number) ^ (1 << random.below(8));
      return flipped;
    }
  }
}

function aimed(random: Random, bytes: Uint8Array, tokens: readonly Token[], other: Uint8Array): Uint8Array {
  const token = tokens[random.below(tokens.length)];
  if (token === undefined) return blind(random, bytes, other);
  const { start, end } = token;
  switch (random.below(10)) {
    case 0: // a length beyond all that is there
      return put(bytes, start, start + 1, [random.pick(Object.values(LONG)), ...u32(random.pick(HUGE))]);
    case 1: {
      // a length a little off
      const long = random.pick(Object.values(LONG));
      return put(bytes, start, start + 1, [long, ...u32(random.below(2 * (bytes.length - start) + 2))]);
    }
    case 2: {
      // nested deeply
      const levels = random.oneIn(400) ? 20_000 : 1 + random.below(200);
      const nest = random.oneIn(2) ? [0x91] : [0x81, 0xa1, 0x61];
      const nested = new Uint8Array(levels * nest.length);
      for (let at = 0; at < nested.length; at++) nested[at] = nest[at % nest.length] as number;
      return put(bytes, start, start, nested);
    }
    case 3: {
      // one part in the place of another
      const from = random.pick(tokens);
      return put(bytes, start, end, bytes.subarray(from.start, from.end));
    }
    case 4: // a part twice
      return put(bytes, end, end, bytes.subarray(start, end));
    case 5: // a part is missing
      return put(bytes, start, end, []);
    case 6: {
      // a text that means something
      const texts = tokens.filter(({ kind }) => kind === "text");
      const aim = texts[random.below(texts.length)] ?? token;
      return put(bytes, aim.start, aim.end, text(random.pick(HOSTILE_KEYS)));
    }
    default:
      return put(bytes, start, end, random.pick(STRANGERS)(random));
  }
}

function put(bytes: Uint8Array, from: number, end: number, what: ArrayLike<number>): Uint8Array {
  const to = Math.min(end, bytes.length);
  const changed = new Uint8Array(from + what.length + bytes.length - to);
  changed.set(bytes.subarray(0, from));
  changed.set(what, from);
  changed.set(bytes.subarray(to), from + what.length);
  return changed;
}
