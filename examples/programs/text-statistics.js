// Words, sentences and n-grams of a text.
// variant: "The sea was calm. The boat was small, and the sea was wide! Would the boat cross the sea?"
// variant: "Bread is flour, water, salt and time. Flour gives body; water gives life. Time gives the rest, and the rest is bread."
// variant: "A fox ran. A dog ran. A fox hid, and the dog sat down by the den of the fox to wait."
// --- turn
const words = PARAM.toLowerCase().match(/[a-z]+/g);
const sentences = PARAM.split(/(?<=[.!?])\s+/);
`${words.length} words in ${sentences.length} sentences`;
// --- turn
const count = (list) => list.reduce((counts, item) => counts.set(item, (counts.get(item) ?? 0) + 1), new Map());
const ranking = (counts) => [...counts].sort((x, y) => y[1] - x[1] || (x[0] < y[0] ? -1 : 1));
const top5 = ranking(count(words)).slice(0, 5);
for (const [word, n] of top5) console.log(word.padEnd(8), "*".repeat(n));
top5[0];
// --- turn
const ngrams = (n) => words.slice(0, words.length - n + 1).map((_, i) => words.slice(i, i + n).join(" "));
ranking(count(ngrams(2)))
  .filter(([, n]) => n > 1)
  .map(([pair, n]) => `${pair} (${n})`)
  .join(", ");
// --- turn
const lengths = words.map((word) => word.length),
  mean = lengths.reduce((a, b) => a + b, 0) / lengths.length;
const deviation = Math.sqrt(lengths.reduce((sum, x) => sum + (x - mean) ** 2, 0) / lengths.length);
`mean length ${mean.toFixed(3)}, deviation ${deviation.toFixed(3)}, longest ${words.reduce((a, b) => (b.length > a.length ? b : a))}`;
// --- turn
const once = ranking(count(words))
  .filter(([, n]) => n === 1)
  .map(([word]) => word);
`${once.length} words occur once: ${once.join(" ")}`;
// --- turn
const follows = new Map();
words.forEach((word, i) => i && follows.set(words[i - 1], [...(follows.get(words[i - 1]) ?? []), word]));
let state = 1,
  at = words[0];
const said = [at];
while (said.length < 12 && follows.has(at)) {
  state = (state * 75 + 74) % 65537;
  at = follows.get(at)[state % follows.get(at).length];
  said.push(at);
}
said.join(" ");
