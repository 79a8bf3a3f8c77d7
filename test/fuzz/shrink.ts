/** Smaller inputs to try in place of one that fails: parts left out, the larger parts first. */

export function* smallerOf(input: unknown): Iterable<unknown> {
  try {
    yield* smallerThan(input);
  } catch {
    // It cannot be looked at: a proxy that throws.
  }
}

function* smallerThan(input: unknown): Iterable<unknown> {
  if (input instanceof Uint8Array) yield* smallerBytes(input);
  else if (typeof input === "string") for (const [from, to] of cuts(input.length)) yield input.slice(0, from) + input.slice(to);
  else if (isPlainArray(input)) {
    for (const [from, to] of cuts(input.length)) yield [...input.slice(0, from), ...input.slice(to)];
    for (const [at, member] of input.entries()) for (const smaller of smallerOf(member)) yield input.with(at, smaller);
  } else if (isPlainObject(input)) {
    for (const key of Object.keys(input)) {
      const { [key]: _, ...rest } = input;
      yield rest;
    }
    for (const [key, member] of Object.entries(input)) for (const smaller of smallerOf(member)) yield { ...input, [key]: smaller };
  }
}

function* smallerBytes(bytes: Uint8Array): Iterable<Uint8Array> {
  for (const [from, to] of cuts(bytes.length)) {
    const smaller = new Uint8Array(bytes.length - (to - from));
    smaller.set(bytes.subarray(0, from));
    smaller.set(bytes.subarray(to), from);
    yield smaller;
  }
  for (let at = 0; at < Math.min(bytes.length, 256); at++) {
    if (bytes[at] === 0) continue;
    const simpler = Uint8Array.from(bytes);
    simpler[at] = 0;
    yield simpler;
  }
}

/** Ranges to leave out, of half the length first, then of ever shorter ones. */
function* cuts(length: number): Iterable<[from: number, to: number]> {
  for (let size = Math.ceil(length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = 0; from < length; from += size) yield [from, Math.min(length, from + size)];
  }
}

const isPlainArray = (value: unknown): value is unknown[] => Array.isArray(value) && Object.getPrototypeOf(value) === Array.prototype;

/** Without getters: reading them is what some cases are about. */
function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  try {
    if (Object.getPrototypeOf(value) !== Object.prototype) return false;
    return Object.values(Object.getOwnPropertyDescriptors(value)).every((member) => "value" in member);
  } catch {
    return false;
  }
}
