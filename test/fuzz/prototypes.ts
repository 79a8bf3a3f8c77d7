/** The prototypes of the language as they were when the run began: a case must leave them alone. */
import { Violation } from "./boundary.ts";

const WATCHED = { Object, Array, Function, String, Number, Boolean, Date, RegExp, Error, Map, Set, Promise, Uint8Array } as const;

/** @returns a check to be run after every batch; it throws Violation, and takes the change back so that the run can go on */
export function watchPrototypes(): () => void {
  const watched = Object.entries(WATCHED).map(([name, { prototype }]) => ({
    name,
    target: prototype as object,
    members: new Map(Reflect.ownKeys(prototype).map((key) => [key, memberOf(prototype, key)])),
    parent: Object.getPrototypeOf(prototype) as object | null,
  }));
  return () => {
    let change: string | undefined;
    for (const { name, target, members, parent } of watched) {
      const found = mend(target, members, parent);
      if (found !== undefined) change ??= `${name}.prototype was changed: ${found}`;
    }
    if (change !== undefined) throw new Violation(change);
  };
}

/** Without a prototype: that of objects may be what was changed. */
const memberOf = (target: object, key: PropertyKey): PropertyDescriptor =>
  Object.assign(Object.create(null) as PropertyDescriptor, Reflect.getOwnPropertyDescriptor(target, key));

function mend(target: object, members: ReadonlyMap<PropertyKey, PropertyDescriptor>, parent: object | null): string | undefined {
  let change: string | undefined;
  for (const key of Reflect.ownKeys(target)) {
    if (members.has(key)) continue;
    Reflect.deleteProperty(target, key);
    change ??= `it got the member ${String(key)}`;
  }
  for (const [key, before] of members) {
    const now = Reflect.getOwnPropertyDescriptor(target, key);
    if (now !== undefined && now.value === before.value && now.get === before.get && now.set === before.set) continue;
    Reflect.defineProperty(target, key, before);
    change ??= `its member ${String(key)} is another one`;
  }
  return change ?? (Object.getPrototypeOf(target) === parent ? undefined : "it has another prototype");
}

/**
 * Whether a value is plain data: nothing but primitives, plain objects, arrays, bytes, and dates where they are allowed.
 *
 * @param nodesMax - more nodes than that are a value that was blown up, or is cyclic
 * @returns what is wrong with it
 */
export function notPlain(value: unknown, nodesMax: number): string | undefined {
  const open: unknown[] = [value];
  let nodes = 0;
  while (open.length > 0) {
    const next = open.pop();
    if (++nodes > nodesMax) return `it has more than ${nodesMax} nodes, or is cyclic`;
    if (typeof next === "function" || typeof next === "symbol") return `it holds a ${typeof next}`;
    if (typeof next !== "object" || next === null) continue;
    const prototype: unknown = Object.getPrototypeOf(next);
    if (prototype === Uint8Array.prototype || prototype === Buffer.prototype || prototype === Date.prototype) continue;
    if (prototype === Array.prototype) {
      for (const member of next as unknown[]) open.push(member);
      continue;
    }
    if (prototype !== Object.prototype && prototype !== null) {
      return `it holds an object of another kind: ${String((prototype as { constructor?: { name?: unknown } } | null)?.constructor?.name)}`;
    }
    if (Object.hasOwn(next, "__proto__")) return "it holds a key __proto__";
    for (const key in next) open.push((next as Record<string, unknown>)[key]);
  }
  return undefined;
}
