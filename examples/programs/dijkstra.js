// Shortest ways on a map: binary heap, Dijkstra, all pairs as a cross-check.
// variant: { from: "Aven", to: "Fell", roads: [["Aven", "Brook", 7], ["Aven", "Cliff", 9], ["Aven", "Fell", 14], ["Brook", "Cliff", 10], ["Brook", "Dale", 15], ["Cliff", "Dale", 11], ["Cliff", "Fell", 2], ["Dale", "East", 6], ["East", "Fell", 9]] }
// variant: { from: "Gate", to: "Mill", roads: [["Gate", "Hill", 4], ["Gate", "Inn", 3], ["Hill", "Inn", 1], ["Hill", "Lake", 7], ["Inn", "Kiln", 8], ["Lake", "Kiln", 2], ["Kiln", "Mill", 3], ["Lake", "Mill", 9]] }
// variant: { from: "P0", to: "P99", roads: Array.from({ length: 100 }, (_, i) => [[`P${i}`, `P${(i * 7 + 3) % 100}`, (i * 13) % 17 + 1], [`P${i}`, `P${(i + 1) % 100}`, (i * 5) % 11 + 4]]).flat() }
// --- turn
const graph = new Map();
const link = (a, b, length) => graph.set(a, [...(graph.get(a) ?? []), { to: b, length }]);
for (const [a, b, length] of PARAM.roads) {
  link(a, b, length);
  link(b, a, length);
}
`${graph.size} places, ${PARAM.roads.length} roads`;
// --- turn
class Heap {
  #items = [];
  get size() {
    return this.#items.length;
  }
  push(item) {
    const items = this.#items;
    let i = items.push(item) - 1;
    for (let up = (i - 1) >> 1; i > 0 && items[up].key > items[i].key; i = up, up = (i - 1) >> 1)
      [items[i], items[up]] = [items[up], items[i]];
  }
  pop() {
    const items = this.#items,
      top = items[0],
      last = items.pop();
    if (items.length === 0) return top;
    items[0] = last;
    for (let i = 0; ;) {
      let least = i;
      for (const child of [2 * i + 1, 2 * i + 2]) if (child < items.length && items[child].key < items[least].key) least = child;
      if (least === i) return top;
      [items[i], items[least]] = [items[least], items[i]];
      i = least;
    }
  }
}
const heap = new Heap();
for (const key of [5, 3, 8, 1, 9, 2]) heap.push({ key });
const drained = [];
while (heap.size) drained.push(heap.pop().key);
drained;
// --- turn
function shortest(from) {
  const far = new Map([[from, 0]]),
    before = new Map(),
    open = new Heap();
  open.push({ key: 0, place: from });
  while (open.size) {
    const { key, place } = open.pop();
    if (key > far.get(place)) continue;
    for (const { to, length } of graph.get(place)) {
      const through = key + length;
      if (through >= (far.get(to) ?? Infinity)) continue;
      far.set(to, through);
      before.set(to, place);
      open.push({ key: through, place: to });
    }
  }
  return { far, before };
}
const result = shortest(PARAM.from);
`${PARAM.from} to ${PARAM.to}: ${result.far.get(PARAM.to)}`;
// --- turn
const way = (place) => (place === undefined ? [] : [...way(result.before.get(place)), place]);
way(PARAM.to).join(" > ");
// --- turn
const places = [...graph.keys()];
const d = places.map((a) =>
  places.map((b) =>
    a === b
      ? 0
      : Math.min(
          Infinity,
          ...graph
            .get(a)
            .filter((road) => road.to === b)
            .map((road) => road.length),
        ),
  ),
);
for (let k = 0; k < places.length; k += 1)
  for (let i = 0; i < places.length; i += 1)
    for (let j = 0; j < places.length; j += 1) if (d[i][k] + d[k][j] < d[i][j]) d[i][j] = d[i][k] + d[k][j];
const start = places.indexOf(PARAM.from);
`all pairs agree: ${places.every((place, j) => d[start][j] === result.far.get(place))}`;
// --- turn
const widest = Math.max(...d.flat());
console.log("the longest shortest way is", widest);
link(PARAM.from, PARAM.to, 1);
`with a new road: ${shortest(PARAM.from).far.get(PARAM.to)}`;
