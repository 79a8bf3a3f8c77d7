/**
 * A look at msgpack before it is decoded: whether it is what our encoder writes, by its tokens alone, without making a value.
 *
 * The decoder understands more than that, for others' sake: records whose keys become code, sets, errors, patterns, references that make
 * a value cyclic, bundled texts that lead it back to where it was (of values one behind the other it would then never see the end). What
 * comes from a disk, or from whoever got hold of a port, must not reach any of it.
 *
 *   V1. What passes is nil, booleans, numbers, texts, bytes, lists, maps, undefined and dates, nested DEPTH_MAX deep at most.
 *   V2. It ends where the bytes end, and no length says more than there are bytes: the decoder allocates in proportion to them.
 *   V3. It takes one pass, whatever the bytes are.
 */

/** Levels of lists and maps at most: JSON_DEPTH_MAX of a value, and what we put around it. */
export const DEPTH_MAX = 512;

/** What stands behind a token from 0xc0 to 0xdf. */
const REFUSED = -1;
const FIXED = 0;
const BYTES = 1;
const LIST = 2;
const MAP = 3;
const EXTENSION = 4;
/** By token less 0xc0: what it is, and its fixed bytes or those of its length. */
const KINDS = Int8Array.from([
  FIXED, REFUSED, FIXED, FIXED, BYTES, BYTES, BYTES, EXTENSION, REFUSED, REFUSED, FIXED, FIXED, FIXED, FIXED, FIXED, FIXED,
  FIXED, FIXED, FIXED, FIXED, EXTENSION, REFUSED, EXTENSION, EXTENSION, REFUSED, BYTES, BYTES, BYTES, LIST, LIST, MAP, MAP,
]); // prettier-ignore
const WIDTHS = Int8Array.from([
  0, 0, 0, 0, 1, 2, 4, 0, 0, 0, 4, 8, 1, 2, 4, 8,
  1, 2, 4, 8, 0, 0, 0, 0, 0, 1, 2, 4, 2, 4, 2, 4,
]); // prettier-ignore

/** By level: values that are still to come. One for all calls: none calls another. */
const left = new Float64Array(DEPTH_MAX + 1);

/**
 * @param many - values one behind the other, also none; otherwise exactly one
 * @returns what is wrong, or undefined
 */
export function problemOf(bytes: Uint8Array, many: boolean): string | undefined {
  const size = bytes.length;
  let depth = 0;
  let at = 0;
  left[0] = many ? Number.POSITIVE_INFINITY : 1;
  for (;;) {
    while (left[depth] === 0) {
      if (depth === 0) return at === size ? undefined : "there is more than one value";
      depth--;
    }
    if (at >= size) return many && depth === 0 && at === size ? undefined : "it ends too early";
    left[depth] = (left[depth] as number) - 1;
    const token = bytes[at++] as number;
    if (token < 0x80 || token >= 0xe0) continue;
    let members: number;
    if (token >= 0xc0) {
      const kind = KINDS[token - 0xc0];
      const width = WIDTHS[token - 0xc0] as number;
      if (kind === FIXED) {
        at += width;
        continue;
      }
      if (kind === REFUSED) return `a token ${token}`;
      if (kind === EXTENSION) {
        const length = extensionAt(bytes, token, at);
        if (length === 0) return "an extension";
        at += length;
        continue;
      }
      if (at + width > size) return "it ends too early";
      let length = 0;
      for (const end = at + width; at < end; at++) length = length * 256 + (bytes[at] as number);
      if (kind === BYTES) {
        at += length;
        continue;
      }
      members = kind === MAP ? 2 * length : length;
    } else if (token >= 0xa0) {
      at += token & 31;
      continue;
    } else members = token >= 0x90 ? token & 15 : 2 * (token & 15);
    if (members === 0) continue;
    if (members > size - at) return "it ends too early";
    if (depth === DEPTH_MAX) return `it nests deeper than ${DEPTH_MAX} levels`;
    left[++depth] = members;
  }
}

const DATE = 0xff;
/** @returns bytes of an extension of ours behind its token: undefined, or a date; 0 for any other */
function extensionAt(bytes: Uint8Array, token: number, at: number): number {
  const type = bytes[at];
  if (token === 0xd4) return type === 0 || type === DATE ? 2 : 0;
  if (token === 0xd6) return type === DATE ? 5 : 0;
  if (token === 0xd7) return type === DATE ? 9 : 0;
  return type === 12 && bytes[at + 1] === DATE ? 14 : 0; // 0xc7
}
