// The knapsack problem three ways, which must agree.
// variant: { capacity: 50, items: [[10, 60], [20, 100], [30, 120]] }
// variant: { capacity: 165, items: [[23, 92], [31, 57], [29, 49], [44, 68], [53, 60], [38, 43], [63, 67], [85, 84], [89, 87], [82, 72]] }
// variant: { capacity: 750, items: [[70, 135], [73, 139], [77, 149], [80, 150], [82, 156], [87, 163], [90, 173], [94, 184], [98, 192], [106, 201], [110, 210], [113, 214], [115, 221], [118, 229], [120, 240]] }
// --- turn
const items = PARAM.items.map(([weight, value], i) => ({ name: String.fromCharCode(97 + i), weight, value }));
`${items.length} things of weight ${items.reduce((sum, item) => sum + item.weight, 0)} for ${PARAM.capacity}`;
// --- turn
function byTable(things, capacity) {
  const rows = [new Array(capacity + 1).fill(0)];
  for (const { weight, value } of things) {
    const last = rows.at(-1);
    rows.push(last.map((best, c) => (c < weight ? best : Math.max(best, last[c - weight] + value))));
  }
  return rows;
}
const rows = byTable(items, PARAM.capacity);
rows.at(-1)[PARAM.capacity];
// --- turn
const chosen = [];
for (let i = items.length, c = PARAM.capacity; i > 0; i -= 1) {
  if (rows[i][c] === rows[i - 1][c]) continue;
  chosen.unshift(items[i - 1]);
  c -= items[i - 1].weight;
}
`${chosen.map((item) => item.name).join("")}: weight ${chosen.reduce((sum, item) => sum + item.weight, 0)}`;
// --- turn
let best = 0,
  tried = 0;
for (let mask = 0; mask < 1 << items.length; mask += 1) {
  let weight = 0,
    value = 0;
  for (let i = 0; i < items.length; i += 1)
    if (mask & (1 << i)) {
      weight += items[i].weight;
      value += items[i].value;
    }
  tried += 1;
  if (weight <= PARAM.capacity && value > best) best = value;
}
`${best} out of ${tried} subsets`;
// --- turn
const dense = [...items].sort((x, y) => y.value / y.weight - x.value / x.weight);
function bound(i, room) {
  let value = 0;
  for (; i < dense.length && dense[i].weight <= room; i += 1) {
    value += dense[i].value;
    room -= dense[i].weight;
  }
  return i < dense.length ? value + (dense[i].value * room) / dense[i].weight : value;
}
let visited = 0;
function branch(i, room, value, record) {
  visited += 1;
  if (i === dense.length || value + bound(i, room) <= record) return Math.max(value, record);
  const taken = dense[i].weight <= room ? branch(i + 1, room - dense[i].weight, value + dense[i].value, record) : record;
  return branch(i + 1, room, value, Math.max(taken, value));
}
`${branch(0, PARAM.capacity, 0, 0)}, visiting ${visited} nodes`;
// --- turn
let greedy = 0,
  room = PARAM.capacity;
for (const item of dense)
  if (item.weight <= room) {
    greedy += item.value;
    room -= item.weight;
  }
console.log("greedy", greedy, "optimal", best);
`greedy loses ${best - greedy}`;
