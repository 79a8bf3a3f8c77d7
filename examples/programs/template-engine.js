// Templates with loops and conditions, compiled to closures.
// variant: { title: "Reading list", items: [{ name: "Dune", done: true }, { name: "Emma", done: false }] }
// variant: { title: "Chores & co", items: [{ name: "<sweep>", done: false }, { name: "wash", done: false }, { name: "rest", done: true }] }
// variant: { title: "Nothing", items: [] }
// --- turn
const parts = (source) => source.split(/(\{\{.*?\}\}|\{%.*?%\})/).filter((part) => part !== "");
parts("Hi {{ name }}{% if x %}!{% end %}");
// --- turn
const lookup = (path, scope) => path.split(".").reduce((value, key) => value?.[key], scope);
const safe = (value) => String(value ?? "").replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
function compile(source) {
  const queue = parts(source);
  function block() {
    const steps = [];
    while (queue.length) {
      const part = queue.shift();
      const [, word, rest] = /^\{% *(\w+) *(.*?) *%\}$/.exec(part) ?? [];
      if (word === "end" || word === "else") return { run: (scope) => steps.map((step) => step(scope)).join(""), stop: word };
      if (word === "if") {
        const yes = block(),
          no = yes.stop === "else" ? block() : { run: () => "" };
        steps.push((scope) => (lookup(rest, scope) ? yes : no).run(scope));
      } else if (word === "for") {
        const [name, list] = rest.split(" in "),
          body = block();
        steps.push((scope) =>
          lookup(list, scope)
            .map((item, index) => body.run({ ...scope, [name]: item, index }))
            .join(""),
        );
      } else if (part.startsWith("{{")) {
        const path = part.slice(2, -2).trim();
        steps.push((scope) => safe(lookup(path, scope)));
      } else steps.push(() => part);
    }
    return { run: (scope) => steps.map((step) => step(scope)).join("") };
  }
  return block().run;
}
compile("{{ title }}: {{ items.length }}")(PARAM);
// --- turn
const page = compile(
  "<h1>{{ title }}</h1>{% for item in items %}\n{{ index }}. {% if item.done %}[x]{% else %}[ ]{% end %} {{ item.name }}{% end %}",
);
page(PARAM);
// --- turn
PARAM.items.push({ name: 'added "later"', done: true });
page(PARAM).split("\n").at(-1);
// --- turn
const nested = compile("{% for a in rows %}{% for b in a %}{{ b }}{% if b.big %}!{% end %} {% end %}| {% end %}");
nested({ rows: [[1, 2], [3], []] });
// --- turn
const many = { title: PARAM.title, items: Array.from({ length: 2000 }, (_, i) => ({ name: `n${i}`, done: i % 3 === 0 })) };
const rendered = page(many);
console.log(rendered.length, "characters");
`${rendered.split("[x]").length - 1} of ${many.items.length} done`;
