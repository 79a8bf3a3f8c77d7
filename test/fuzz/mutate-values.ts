/** Values that were valid, damaged: members of the wrong kind, hostile keys, getters and proxies that throw, cycles, sparse lists. */
import { HOSTILE_KEYS } from "./generate.ts";
import type { Random } from "./random.ts";

class Stranger {
  readonly own = 1;
  get inherited(): number {
    return 2;
  }
}

const throwing = (): never => {
  throw new Error("from a getter");
};
/** Throws whatever is asked of it. */
const hostileProxy = (): object =>
  new Proxy({}, { get: throwing, has: throwing, ownKeys: throwing, getOwnPropertyDescriptor: throwing, getPrototypeOf: throwing });

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

function cyclic(): object {
  const list: unknown[] = [];
  const value = { list };
  list.push(value);
  return value;
}

function nested(levels: number, isList: boolean): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level++) value = isList ? [value] : { a: value };
  return value;
}

function sparse(length: number): unknown[] {
  const list: unknown[] = [];
  list.length = length;
  return list;
}

/** Kinds of values, mostly of such as no schema takes. Those that take time to make are rare. */
const HOSTILE: readonly ((random: Random) => unknown)[] = [
  () => undefined,
  () => null,
  () => Number.NaN,
  () => -0,
  () => Number.POSITIVE_INFINITY,
  () => 2 ** 53,
  () => 1.5,
  () => -1,
  () => 0,
  () => 10n,
  () => Symbol("s"),
  () => () => "called",
  () => true,
  () => "",
  () => "\ud800",
  () => "a\u0000b",
  (random) => random.pick(HOSTILE_KEYS),
  () => [],
  () => ({}),
  () => new Date(Number.NaN),
  () => /(a+)+$/,
  () => new Map([["a", 1]]),
  () => new Set([1]),
  () => new Uint8Array(3),
  () => new Stranger(),
  () => Object.create(null) as object,
  () => Object.create({ prompt: "inherited", text: "inherited" }) as object,
  () => JSON.parse('{"__proto__":{"admin":true},"constructor":{"prototype":{"admin":true}}}') as object,
  () => cyclic(),
  () => hostileProxy(),
  () => revoked(),
  () => new Proxy({ a: 1 }, {}),
  () => ({ get a() { return throwing(); } }), // prettier-ignore
  () => ({ toString: throwing, valueOf: throwing, toJSON: throwing }),
  () => ({ then: (resolve: (value: unknown) => void) => resolve(1) }),
  () => [undefined, , 1], // eslint-disable-line no-sparse-arrays
  () => Object.assign([1], { extra: 1, __proto__: null }),
  () => new (class extends Array {})(),
  () => Promise.resolve(1),
  (random) => nested(random.pick([5, 99, 100, 101, 150]), random.oneIn(2)),
  (random) => (random.oneIn(30) ? nested(20_000, random.oneIn(2)) : nested(3, true)),
  (random) => (random.oneIn(30) ? "x".repeat(5_000_000) : "x".repeat(300)),
  (random) => (random.oneIn(20) ? sparse(300_000) : sparse(3)),
  (random) => (random.oneIn(40) ? sparse(2 ** 32 - 1) : sparse(1)),
  (random) => (random.oneIn(30) ? Array.from({ length: 20_000 }, () => 0) : [0]),
];

export const hostile = (random: Random): unknown => random.pick(HOSTILE)(random);

/** @returns a copy of the sample with some of it damaged; now and then a whole copy, or something else altogether. @param isStable - each member says the same at every reading */
export function mutateValue(random: Random, sample: unknown, isStable = false): unknown {
  if (random.oneIn(24)) return hostile(random);
  let value = copyOf(sample);
  for (let left = random.oneIn(12) ? 0 : 1 + random.below(random.oneIn(4) ? 4 : 2); left > 0; left--)
    value = damaged(random, value, isStable);
  return value;
}

interface Place {
  readonly holder: Record<string, unknown> | unknown[];
  readonly key: string;
}

function damaged(random: Random, value: unknown, isStable: boolean): unknown {
  const places = placesIn(value);
  if (places.length === 0) return hostile(random);
  const { holder, key } = random.pick(places);
  const members = holder as Record<string, unknown>;
  try {
    switch (random.below(12)) {
      case 0:
        delete members[key];
        break;
      case 1:
        define(members, random.pick(HOSTILE_KEYS), hostile(random));
        break;
      case 2:
        define(members, `extra${random.below(3)}`, hostile(random));
        break;
      case 3:
        if (Array.isArray(holder)) holder.push(holder[0]);
        else define(members, random.pick(HOSTILE_KEYS), members[key]);
        break;
      case 4:
        Object.defineProperty(members, key, { get: throwing, enumerable: true, configurable: true });
        break;
      case 5: {
        if (isStable) break;
        const first = members[key];
        let reads = 0;
        Object.defineProperty(members, key, { get: () => (reads++ === 0 ? first : hostile(random)), enumerable: true, configurable: true });
        break;
      }
      case 6:
        members[key] = [members[key]];
        break;
      case 7:
        if (!Array.isArray(holder))
          Object.setPrototypeOf(holder, random.oneIn(2) ? null : { inherited: 1, isolation: "dedicated", timeoutMs: 5 });
        break;
      case 8:
        Object.defineProperty(members, key, { enumerable: false, value: members[key], configurable: true, writable: true });
        break;
      default:
        define(members, key, hostile(random));
    }
  } catch {
    // A place that was damaged before and cannot be written to.
  }
  return value;
}

/** Also the key `__proto__` is a member then. */
function define(holder: object, key: string, value: unknown): void {
  Object.defineProperty(holder, key, { value, enumerable: true, configurable: true, writable: true });
}

function placesIn(value: unknown): Place[] {
  const places: Place[] = [];
  const open = [value];
  while (open.length > 0 && places.length < 200) {
    const next = open.pop();
    if (typeof next !== "object" || next === null || !isPlainData(next)) continue;
    for (const key of Object.keys(next)) {
      places.push({ holder: next as Record<string, unknown>, key });
      const { value: member } = Object.getOwnPropertyDescriptor(next, key) ?? {};
      if (typeof member === "object" && member !== null && !open.includes(member)) open.push(member);
    }
  }
  return places;
}

function isPlainData(value: object): boolean {
  try {
    if (Array.isArray(value)) return Object.getPrototypeOf(value) === Array.prototype && value.length < 200;
    const prototype: unknown = Object.getPrototypeOf(value);
    return prototype === Object.prototype || prototype === null;
  } catch {
    return false;
  }
}

function copyOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copyOf);
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  const copy: Record<string, unknown> = {};
  for (const key in value) define(copy, key, copyOf((value as Record<string, unknown>)[key]));
  return copy;
}
