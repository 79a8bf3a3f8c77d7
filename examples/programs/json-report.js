// A sales report out of nested JSON.
// variant: '{"shop":"North","orders":[{"id":1,"lines":[{"sku":"tea","n":2,"cents":450},{"sku":"mug","n":1,"cents":1200}]},{"id":2,"lines":[{"sku":"tea","n":5,"cents":430}]}]}'
// variant: '{"shop":"Harbour","orders":[{"id":7,"lines":[{"sku":"rope","n":10,"cents":199}]},{"id":8,"lines":[]},{"id":9,"lines":[{"sku":"oil","n":3,"cents":899},{"sku":"rope","n":4,"cents":210}]}]}'
// variant: '{"shop":"Hill","orders":[{"id":3,"lines":[{"sku":"boots","n":1,"cents":8999},{"sku":"socks","n":6,"cents":350},{"sku":"hat","n":2,"cents":1500}]}]}'
// --- turn
const data = JSON.parse(PARAM);
const lines = data.orders.flatMap((order) => order.lines.map((line) => ({ order: order.id, ...line })));
`${data.shop}: ${data.orders.length} orders, ${lines.length} lines`;
// --- turn
const euros = (cents) => `${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, "0")}`;
const total = (list) => list.reduce((sum, line) => sum + line.n * line.cents, 0);
euros(total(lines));
// --- turn
const bySku = new Map();
for (const line of lines) bySku.set(line.sku, [...(bySku.get(line.sku) ?? []), line]);
const summary = [...bySku].map(([sku, list]) => ({ sku, pieces: list.reduce((n, line) => n + line.n, 0), cents: total(list) }));
summary.sort((a, b) => b.cents - a.cents);
summary;
// --- turn
const width = Math.max(...summary.map((row) => row.sku.length));
for (const row of summary) console.log(row.sku.padEnd(width), String(row.pieces).padStart(4), euros(row.cents).padStart(9));
`${summary.length} articles`;
// --- turn
data.orders.push({ id: 99, lines: [{ sku: "gift", n: 1, cents: 0 }], note: "caf\u00e9 \u2603" });
JSON.stringify(data.orders.at(-1));
// --- turn
const copy = JSON.parse(JSON.stringify(data), (key, value) => (key === "cents" ? value / 100 : value));
const prices = copy.orders.flatMap((order) => order.lines.map((line) => line.cents));
`prices ${prices.join(" ")}; untouched total ${euros(total(lines))}`;
