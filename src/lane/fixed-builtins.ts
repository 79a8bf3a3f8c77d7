/**
 * What all code of a lane shares, made fast once the agents are loaded: the standard built-ins, their prototypes, and the globals that
 * make time and threads go. An agent that changes one of them would change it for Warren and for every neighbour; as it is, the change
 * throws, in the turn that attempts it (code outside of modules and classes is not told, and changes nothing).
 *
 *   X1. Nothing here is slower to use than before.
 *   X2. An object of an agent's own may have members of the same names: only what many packages assign to (members of Object, Function
 *       and Error prototypes) is left to them, where an inherited frozen member could not be shadowed by assignment.
 *   X3. Methods of arrays cannot be made fast: V8 then makes every array slow (measured: by 5 to 17 times); nor can what makes iterators
 *       iterable, to which compiled generators assign a member of their own. They are looked at again and again instead, and a lane in
 *       which one has changed ends: nobody knows what it has done meanwhile.
 */

/** Constructors and namespaces: frozen, with their prototypes. */
const BUILTINS = [
  "Array",
  "ArrayBuffer",
  "Atomics",
  "BigInt",
  "Boolean",
  "DataView",
  "Date",
  "FinalizationRegistry",
  "JSON",
  "Map",
  "Math",
  "Number",
  "Promise",
  "Proxy",
  "Reflect",
  "RegExp",
  "Set",
  "SharedArrayBuffer",
  "String",
  "Symbol",
  "WeakMap",
  "WeakRef",
  "WeakSet",
  "Int8Array",
  "Uint8Array",
  "Uint8ClampedArray",
  "Int16Array",
  "Uint16Array",
  "Int32Array",
  "Uint32Array",
  "Float32Array",
  "Float64Array",
  "BigInt64Array",
  "BigUint64Array",
  "AbortController",
  "AbortSignal",
  "Event",
  "EventTarget",
  "MessagePort",
  "MessageChannel",
  "TextDecoder",
  "TextEncoder",
] as const;

/** Globals that stay what they are, though what they hold is not frozen. */
const GLOBALS = [
  ...BUILTINS,
  "Object",
  "Function",
  "Error",
  "Buffer",
  "process",
  "performance",
  "globalThis",
  "queueMicrotask",
  "structuredClone",
  "setTimeout",
  "clearTimeout",
  "setInterval",
  "clearInterval",
  "setImmediate",
  "clearImmediate",
] as const;

/** Watches over what could not be made fast (X3). */
export interface BuiltinsGuard {
  /** A short look, at what the lane uses most. */
  isSound(): boolean;
  /** A thorough one. @returns the member that is not what it was, put right again */
  changed(): string | undefined;
}

/** Make them fast. Once in a thread. */
export function fixBuiltins(): BuiltinsGuard {
  const global = globalThis as unknown as Record<string, { prototype?: object } | undefined>;
  for (const name of BUILTINS) {
    const value = global[name];
    if (value === undefined) continue;
    if (value.prototype !== undefined) fixPrototype(value.prototype);
    Object.freeze(value);
  }
  for (const shared of hidden()) fixPrototype(shared);
  Object.freeze(Object);
  // Members of these are shadowed by assignment all over (X2): what is there is fixed one by one, and nothing is added.
  Object.preventExtensions(Object.prototype);
  for (const name of ["call", "apply", "bind"] as const) fixShadowable(Function.prototype, name);
  for (const name of ["hasOwnProperty", "propertyIsEnumerable"] as const) fixShadowable(Object.prototype, name);
  fix(process, "nextTick");
  fix(performance, "now");
  for (const name of GLOBALS) if (name in globalThis) fix(globalThis, name);
  return guardWatched();
}

function fixPrototype(prototype: object): void {
  if (prototype === Array.prototype) {
    Object.preventExtensions(prototype); // X3
  } else if (prototype === ITERATOR || prototype === ASYNC_ITERATOR) {
    const iterable = prototype === ITERATOR ? Symbol.iterator : Symbol.asyncIterator; // X3
    for (const name of Reflect.ownKeys(prototype)) if (name !== iterable) fixMember(prototype, name);
    Object.preventExtensions(prototype);
  } else if (prototype === TypedArray.prototype || Object.getPrototypeOf(prototype) === TypedArray.prototype) {
    // Frozen, they would make every store into a typed array look at them first.
    for (const name of Reflect.ownKeys(prototype)) if (name !== "constructor") fixMember(prototype, name);
    Object.preventExtensions(prototype);
  } else Object.freeze(prototype);
}

function fixMember(owner: object, name: string | symbol): void {
  const { configurable, writable } = Object.getOwnPropertyDescriptor(owner, name) as PropertyDescriptor;
  if (configurable) Object.defineProperty(owner, name, { configurable: false, ...(writable && { writable: false }) });
}

const parent = (value: object): object => Object.getPrototypeOf(value) as object;
const TypedArray = parent(Uint8Array) as { prototype: object };
const ITERATOR = parent(parent([][Symbol.iterator]()));
const ASYNC_ITERATOR = parent((parent(async function* () {}) as Maker).prototype);

interface Watched {
  readonly owner: object;
  readonly name: string | symbol;
  readonly label: string;
}

/** X3 */
function watched(): Watched[] {
  const ownersOf = (owner: object, label: string, names: readonly (string | symbol)[]): Watched[] =>
    names.map((name) => ({ owner, name, label: `${label}.${name.toString()}` }));
  return [
    ...ownersOf(
      Array.prototype,
      "Array.prototype",
      Reflect.ownKeys(Array.prototype).filter((name) => name !== "length"),
    ),
    ...ownersOf(ITERATOR, "Iterator.prototype", [Symbol.iterator]),
    ...ownersOf(ASYNC_ITERATOR, "AsyncIterator.prototype", [Symbol.asyncIterator]),
  ];
}

/** Nothing here may use what it guards. */
function guardWatched(): BuiltinsGuard {
  const prototype = Array.prototype as unknown as Record<string | symbol, unknown>;
  const { push, slice, splice, map, at } = Array.prototype;
  const iterate = Array.prototype[Symbol.iterator];
  const members = watched();
  const { defineProperty } = Object;
  const { get } = Reflect;
  const values = members.map(({ owner, name }): unknown => get(owner, name));
  return {
    isSound: () =>
      prototype["push"] === push &&
      prototype["slice"] === slice &&
      prototype["splice"] === splice &&
      prototype["map"] === map &&
      prototype["at"] === at &&
      prototype[Symbol.iterator] === iterate,
    changed: () => {
      let changed: string | undefined;
      for (let i = 0; i < members.length; i++) {
        const { owner, name, label } = members[i] as Watched;
        if (get(owner, name) === values[i]) continue;
        defineProperty(owner, name, { value: values[i], writable: true, enumerable: false, configurable: true });
        changed = label;
      }
      return changed;
    },
  };
}

/** Prototypes that have no name: of typed arrays, iterators, generators and what makes them, and of ports. */
function hidden(): object[] {
  const [generators, asyncGenerators] = [parent(function* () {}), parent(async function* () {})] as [Maker, Maker];
  return [
    TypedArray,
    TypedArray.prototype,
    parent([][Symbol.iterator]()),
    ITERATOR,
    parent(new Map()[Symbol.iterator]()),
    parent(new Set()[Symbol.iterator]()),
    parent(""[Symbol.iterator]()),
    parent("".matchAll(/x/g)),
    generators,
    generators.prototype,
    asyncGenerators,
    asyncGenerators.prototype,
    ASYNC_ITERATOR,
    parent(async function () {}),
    parent(MessagePort.prototype),
  ];
}

/** What all functions of a kind inherit from; what they make inherits from its prototype. */
interface Maker {
  readonly prototype: object;
}

function fix(owner: object, name: string): void {
  Object.defineProperty(owner, name, { value: Reflect.get(owner, name), writable: false, configurable: false });
}

/** Fixed on its owner; an object that inherits it may have a member of its own by assignment, as if it were not. */
function fixShadowable<T extends object>(owner: T, name: keyof T & string): void {
  const value = owner[name];
  Object.defineProperty(owner, name, {
    configurable: false,
    get: () => value,
    set(this: object, own: unknown) {
      if (this === owner) throw new TypeError(`${name} is shared by all agents of the lane and cannot be changed`);
      Object.defineProperty(this, name, { value: own, writable: true, enumerable: true, configurable: true });
    },
  });
}
