// A least-recently-used cache, its statistics, and a memo built on it.
// variant: { capacity: 3, keys: "abcadbea" }
// variant: { capacity: 2, keys: "xyxzxyzz" }
// variant: { capacity: 4, keys: "qwertyqwertyqwe" }
// --- turn
class Cache {
  #map = new Map();
  hits = 0;
  misses = 0;
  constructor(capacity) {
    this.capacity = capacity;
  }
  get(key) {
    if (!this.#map.has(key)) {
      this.misses += 1;
      return undefined;
    }
    const value = this.#map.get(key);
    this.#map.delete(key);
    this.#map.set(key, value);
    this.hits += 1;
    return value;
  }
  set(key, value) {
    this.#map.delete(key);
    this.#map.set(key, value);
    if (this.#map.size > this.capacity) this.#map.delete(this.#map.keys().next().value);
  }
  keys() {
    return [...this.#map.keys()];
  }
}
new Cache(PARAM.capacity);
// --- turn
const cache = new Cache(PARAM.capacity),
  evicted = [];
for (const key of PARAM.keys) {
  const before = cache.keys();
  if (cache.get(key) === undefined) cache.set(key, key.toUpperCase());
  evicted.push(...before.filter((old) => !cache.keys().includes(old)));
}
`kept ${cache.keys().join("")}, evicted ${evicted.join("") || "nothing"}`;
// --- turn
({ hits: cache.hits, misses: cache.misses, rate: `${((100 * cache.hits) / PARAM.keys.length).toFixed(1)} %` });
// --- turn
const memoize = (f, capacity) => {
  const results = new Cache(capacity);
  const memo = (n) => {
    let value = results.get(n);
    if (value === undefined) results.set(n, (value = f(n)));
    return value;
  };
  return Object.assign(memo, { results });
};
const fib = memoize((n) => (n < 2 ? BigInt(n) : fib(n - 1) + fib(n - 2)), 8);
fib(60 + PARAM.capacity);
// --- turn
console.log("memo:", fib.results.hits, "hits", fib.results.misses, "misses");
fib.results.keys().length;
// --- turn
const slow = PARAM.keys.split("").reduce(
  ({ order, hits }, key) => {
    const known = order.includes(key);
    return { order: [...order.filter((other) => other !== key), key].slice(-PARAM.capacity), hits: hits + known };
  },
  { order: [], hits: 0 },
);
`a list gives the same: ${slow.order.join() === cache.keys().join() && slow.hits === cache.hits}`;
