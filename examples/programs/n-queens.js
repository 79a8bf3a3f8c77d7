// The queens puzzle with bit masks, and symmetries of its solutions.
// variant: { n: 6 }
// variant: { n: 7 }
// variant: { n: 8 }
// variant: { n: 9 }
// --- turn
function* queens(n, row = 0, columns = 0, left = 0, right = 0, placed = []) {
  if (row === n) {
    yield [...placed];
    return;
  }
  for (let c = 0; c < n; c += 1) {
    const bit = 1 << c;
    if ((columns | left | right) & bit) continue;
    placed.push(c);
    yield* queens(n, row + 1, columns | bit, (left | bit) << 1, (right | bit) >> 1, placed);
    placed.pop();
  }
}
queens(PARAM.n).next().value;
// --- turn
const solutions = [...queens(PARAM.n)];
`${solutions.length} ways to place ${PARAM.n} queens`;
// --- turn
const draw = (s) => s.map((c) => ".".repeat(c) + "Q" + ".".repeat(PARAM.n - c - 1)).join("\n");
draw(solutions[0]);
// --- turn
const turned = (s) => {
  const t = [];
  s.forEach((c, r) => (t[c] = PARAM.n - 1 - r));
  return t;
};
const mirrored = (s) => s.map((c) => PARAM.n - 1 - c);
function family(s) {
  const all = [];
  for (let i = 0, at = s; i < 4; i += 1, at = turned(at)) all.push(at.join(), mirrored(at).join());
  return [...new Set(all)].sort();
}
const families = new Set(solutions.map((s) => family(s)[0]));
`${families.size} but for turns and mirrors`;
// --- turn
const known = new Set(solutions.map((s) => s.join()));
console.log(
  "every relative is a solution:",
  solutions.every((s) => family(s).every((other) => known.has(other))),
);
const sizes = [...families].map((first) => family(first.split(",").map(Number)).length);
sizes.reduce((a, b) => a + b, 0) === solutions.length;
// --- turn
function count(all, columns = 0, left = 0, right = 0) {
  if (columns === all) return 1;
  let total = 0;
  for (let free = all & ~(columns | left | right); free; free &= free - 1) {
    const bit = free & -free;
    total += count(all, columns | bit, (left | bit) << 1, (right | bit) >> 1);
  }
  return total;
}
[4, 5, PARAM.n, PARAM.n + 1].map((n) => `${n}: ${count((1 << n) - 1)}`).join(", ");
