// Line diff by longest common subsequence, as hunks, applied forwards and backwards.
// variant: { before: "one\ntwo\nthree\nfour", after: "one\n2\nthree\nfour\nfive" }
// variant: { before: "a\nb\nc\na\nb\nb\na", after: "c\nb\na\nb\na\nc" }
// variant: { before: Array.from({ length: 120 }, (_, i) => `line ${i % 17}`).join("\n"), after: Array.from({ length: 120 }, (_, i) => `line ${(i * 3) % 17}`).join("\n") }
// --- turn
const a = PARAM.before.split("\n"),
  b = PARAM.after.split("\n");
function lengths(x, y) {
  const rows = Array.from({ length: x.length + 1 }, () => new Array(y.length + 1).fill(0));
  for (let i = x.length - 1; i >= 0; i -= 1)
    for (let j = y.length - 1; j >= 0; j -= 1)
      rows[i][j] = x[i] === y[j] ? rows[i + 1][j + 1] + 1 : Math.max(rows[i + 1][j], rows[i][j + 1]);
  return rows;
}
`${a.length} and ${b.length} lines, ${lengths(a, b)[0][0]} in common`;
// --- turn
function diff(x, y) {
  const rows = lengths(x, y),
    steps = [];
  let i = 0,
    j = 0;
  while (i < x.length || j < y.length) {
    if (i < x.length && j < y.length && x[i] === y[j]) {
      steps.push([" ", x[i]]);
      i += 1;
      j += 1;
    } else if (j >= y.length || (i < x.length && rows[i + 1][j] >= rows[i][j + 1])) steps.push(["-", x[i++]]);
    else steps.push(["+", y[j++]]);
  }
  return steps;
}
const steps = diff(a, b);
steps
  .slice(0, 10)
  .map(([sign, line]) => sign + line)
  .join("\n");
// --- turn
const tally = { " ": 0, "-": 0, "+": 0 };
for (const [sign] of steps) tally[sign] += 1;
tally;
// --- turn
const side = (list, sign) =>
  list
    .filter(([s]) => s === " " || s === sign)
    .map(([, line]) => line)
    .join("\n");
`forwards ${side(steps, "+") === PARAM.after}, backwards ${side(steps, "-") === PARAM.before}`;
// --- turn
const hunks = [];
steps.forEach(([sign, line], i) => {
  if (sign === " ") return;
  const last = hunks.at(-1);
  if (last && last.end === i) {
    last.end += 1;
    last.lines.push(sign + line);
  } else hunks.push({ start: i, end: i + 1, lines: [sign + line] });
});
console.log(hunks.length, "hunks");
hunks[0];
// --- turn
const same = diff(a, a);
`a text against itself: ${same.every(([sign]) => sign === " ")}; similarity ${((200 * tally[" "]) / (a.length + b.length)).toFixed(1)} %`;
