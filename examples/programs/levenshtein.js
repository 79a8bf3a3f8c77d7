// Edit distance: table, path of edits, nearest words.
// variant: { a: "kitten", b: "sitting", words: ["knitting", "mitten", "sitting", "bitten", "fitting"] }
// variant: { a: "saturday", b: "sunday", words: ["monday", "sunday", "saturday", "sundry", "satire"] }
// variant: { a: "intention", b: "execution", words: ["attention", "exertion", "intent", "extension", "elocution"] }
// --- turn
function table(a, b) {
  const rows = Array.from({ length: a.length + 1 }, (_, i) => [i]);
  for (let j = 1; j <= b.length; j += 1) rows[0][j] = j;
  for (let i = 1; i <= a.length; i += 1) {
    for (let j = 1; j <= b.length; j += 1) {
      const change = rows[i - 1][j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      rows[i][j] = Math.min(change, rows[i - 1][j] + 1, rows[i][j - 1] + 1);
    }
  }
  return rows;
}
const distance = (a, b) => table(a, b)[a.length][b.length];
distance(PARAM.a, PARAM.b);
// --- turn
function edits(a, b) {
  const rows = table(a, b),
    path = [];
  let i = a.length,
    j = b.length;
  while (i > 0 || j > 0) {
    const here = rows[i][j];
    if (i > 0 && j > 0 && a[i - 1] === b[j - 1] && rows[i - 1][j - 1] === here) {
      i -= 1;
      j -= 1;
      path.push("=");
    } else if (i > 0 && j > 0 && rows[i - 1][j - 1] + 1 === here) {
      i -= 1;
      j -= 1;
      path.push(`${a[i]}>${b[j]}`);
    } else if (i > 0 && rows[i - 1][j] + 1 === here) {
      i -= 1;
      path.push(`-${a[i]}`);
    } else {
      j -= 1;
      path.push(`+${b[j]}`);
    }
  }
  return path.reverse();
}
edits(PARAM.a, PARAM.b).join(" ");
// --- turn
const ranked = PARAM.words
  .map((word) => ({ word, far: distance(PARAM.a, word) }))
  .sort((x, y) => x.far - y.far || (x.word < y.word ? -1 : 1));
for (const { word, far } of ranked) console.log(far, word);
ranked[0].word;
// --- turn
const all = [PARAM.a, PARAM.b, ...PARAM.words];
const asymmetric = all.flatMap((x) => all.filter((y) => distance(x, y) !== distance(y, x)));
const triangle = all.every((x) => all.every((y) => all.every((z) => distance(x, z) <= distance(x, y) + distance(y, z))));
({ asymmetric, triangle, toItself: distance(PARAM.a, PARAM.a), toNothing: distance(PARAM.a, "") });
// --- turn
function distanceInOneRow(a, b) {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] !== b[j - 1]));
    row = next;
  }
  return row[b.length];
}
all.every((x) => all.every((y) => distance(x, y) === distanceInOneRow(x, y)));
// --- turn
const long = (word) => word.repeat(40);
`${long(PARAM.a).length} x ${long(PARAM.b).length}: ${distanceInOneRow(long(PARAM.a), long(PARAM.b))}`;
