// Autocomplete on a trie with weights.
// variant: { words: { tea: 5, ten: 9, team: 7, tent: 1, to: 12, inn: 4 }, prefix: "te" }
// variant: { words: { car: 10, card: 8, care: 15, careful: 3, cat: 11, dog: 2 }, prefix: "car" }
// variant: { words: { sun: 1, sung: 2, sunny: 3, sunday: 4, sunk: 5, s: 6, su: 7 }, prefix: "sun" }
// --- turn
const node = () => ({ next: {}, weight: 0 });
const trie = node();
function add(word, weight) {
  let at = trie;
  for (const c of word) at = at.next[c] ??= node();
  at.weight += weight;
}
for (const [word, weight] of Object.entries(PARAM.words)) add(word, weight);
const size = (at) => 1 + Object.values(at.next).reduce((sum, child) => sum + size(child), 0);
`${size(trie)} nodes for ${Object.keys(PARAM.words).join("").length} letters`;
// --- turn
const descend = (prefix) => [...prefix].reduce((at, c) => at?.next[c], trie);
function* wordsBelow(at, prefix) {
  if (at.weight) yield { word: prefix, weight: at.weight };
  for (const c of Object.keys(at.next).sort()) yield* wordsBelow(at.next[c], prefix + c);
}
[...wordsBelow(trie, "")].map((entry) => entry.word).join(" ");
// --- turn
const complete = (prefix, limit = 3) => {
  const at = descend(prefix);
  return at
    ? [...wordsBelow(at, prefix)]
        .sort((x, y) => y.weight - x.weight)
        .slice(0, limit)
        .map((entry) => entry.word)
    : [];
};
complete(PARAM.prefix);
// --- turn
add(`${PARAM.prefix}zz`, 100);
console.log(complete(PARAM.prefix, 2).join(" then "));
complete("nosuch");
// --- turn
function remove(word, at = trie, i = 0) {
  if (i === word.length) {
    at.weight = 0;
    return;
  }
  const child = at.next[word[i]];
  if (!child) return;
  remove(word, child, i + 1);
  if (child.weight === 0 && Object.keys(child.next).length === 0) delete at.next[word[i]];
}
remove(`${PARAM.prefix}zz`);
`${size(trie)} nodes again, ${complete(PARAM.prefix)[0]} leads`;
// --- turn
function near(word, budget) {
  const found = [];
  (function visit(at, prefix, row) {
    if (at.weight && row.at(-1) <= budget) found.push(prefix);
    if (Math.min(...row) > budget) return;
    for (const [c, child] of Object.entries(at.next)) {
      const next = [row[0] + 1];
      for (let i = 1; i < row.length; i += 1) next.push(Math.min(row[i] + 1, next[i - 1] + 1, row[i - 1] + (word[i - 1] === c ? 0 : 1)));
      visit(child, prefix + c, next);
    }
  })(
    trie,
    "",
    Array.from({ length: word.length + 1 }, (_, i) => i),
  );
  return found.sort();
}
near(`${PARAM.prefix}x`, 1);
