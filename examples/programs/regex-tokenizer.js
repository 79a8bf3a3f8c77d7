// A tokenizer with named groups, then statistics and a reformatter over its tokens.
// variant: 'let x1 = 3.14 * (radius + 2); // area\nprint("x is", x1);'
// variant: 'while (n >= 10) { n = n / 10; digits = digits + 1; }\nreturn digits;'
// variant: 'fn add(a, b) { return a + b; } // sum\nlet s = add("left \\"q\\"", \'right\') != 7;'
// --- turn
const rules = {
  space: /\s+/,
  comment: /\/\/[^\n]*/,
  number: /\d+(?:\.\d+)?/,
  string: /"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'/,
  word: /[A-Za-z_]\w*/,
  operator: /[<>=!]=|[-+*\/<>=!]/,
  mark: /[(){};,]/,
};
const pattern = new RegExp(
  Object.entries(rules)
    .map(([name, rule]) => `(?<${name}>${rule.source})`)
    .join("|"),
  "y",
);
Object.keys(rules).length;
// --- turn
function* tokens(source) {
  let line = 1;
  pattern.lastIndex = 0;
  while (pattern.lastIndex < source.length) {
    const at = pattern.lastIndex,
      match = pattern.exec(source);
    if (!match) throw new SyntaxError(`line ${line}: ${JSON.stringify(source[at])} at ${at}`);
    const [kind, text] = Object.entries(match.groups).find(([, value]) => value !== undefined);
    yield { kind, text, line };
    line += text.split("\n").length - 1;
  }
}
const all = [...tokens(PARAM)].filter((token) => token.kind !== "space");
all.slice(0, 4);
// --- turn
const counts = {};
for (const { kind } of all) counts[kind] = (counts[kind] ?? 0) + 1;
counts;
// --- turn
const keywords = new Set(["let", "while", "return", "fn"]);
const names = [...new Set(all.filter((t) => t.kind === "word" && !keywords.has(t.text)).map((t) => t.text))];
`names: ${names.sort().join(", ")}`;
// --- turn
// expect-error: AGENT_ERROR
[...tokens("a = 1 # 2")];
// --- turn
let depth = 0;
const out = [];
for (const { kind, text } of all) {
  if (kind === "comment") continue;
  if (text === "}") depth -= 1;
  out.push(text === "}" || out.length === 0 || /[{};]$/.test(out.at(-1)) ? `\n${"  ".repeat(depth)}${text}` : ` ${text}`);
  if (text === "{") depth += 1;
}
console.log(out.join("").trim());
`depth ${depth}, last line ${all.at(-1).line}`;
// --- turn
const again = [...tokens(out.join(""))]
  .filter((t) => t.kind !== "space")
  .map((t) => t.text)
  .join(" ");
again ===
  all
    .filter((t) => t.kind !== "comment")
    .map((t) => t.text)
    .join(" ");
