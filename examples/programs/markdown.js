// Markdown to HTML for a useful subset.
// variant: "# Notes\n\nSome *soft* and **loud** text with `code`.\n\n- one\n- two <b>\n\n> quoted & kept"
// variant: "## Menu\n\n1. Soup\n2. Bread\n\nSee [the shop](https://example.org/a?b=1&c=2).\n\n- salt\n- oil"
// variant: "# Title\n## Sub\n\nLine one\nline two\n\n```\nif (a < b) go();\n```\n\nThe **end**."
// --- turn
const escapeHtml = (text) => text.replace(/[&<>]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[c]);
escapeHtml("a < b & c");
// --- turn
function inline(text) {
  return escapeHtml(text)
    .replace(/`([^`]+)`/g, "<code>$1</code>")
    .replace(/\*\*([^*]+)\*\*/g, "<strong>$1</strong>")
    .replace(/\*([^*]+)\*/g, "<em>$1</em>")
    .replace(/\[([^\]]+)\]\(([^)\s]+)\)/g, '<a href="$2">$1</a>');
}
inline("**bold**, *thin*, `x < y`, [here](https://example.org)");
// --- turn
function blocks(source) {
  const found = [];
  let fence = null;
  for (const line of source.split("\n")) {
    const last = found[found.length - 1];
    if (fence) {
      if (line === "```") fence = null;
      else fence.lines.push(line);
      continue;
    }
    const [kind, text] =
      line === "```"
        ? ["code", ""]
        : /^#+ /.test(line)
          ? ["heading", line]
          : /^- /.test(line)
            ? ["ul", line.slice(2)]
            : /^\d+\. /.test(line)
              ? ["ol", line.replace(/^\d+\. /, "")]
              : /^> /.test(line)
                ? ["quote", line.slice(2)]
                : [line ? "p" : "blank", line];
    if (kind === "code") found.push((fence = { kind, lines: [] }));
    else if (last && last.kind === kind && kind !== "heading") last.lines.push(text);
    else found.push({ kind, lines: [text] });
  }
  return found.filter((block) => block.kind !== "blank");
}
blocks(PARAM)
  .map((block) => `${block.kind}:${block.lines.length}`)
  .join(" ");
// --- turn
const items = (tag, lines) => `<${tag}>${lines.map((line) => `<li>${inline(line)}</li>`).join("")}</${tag}>`;
const renderers = {
  heading: ([line]) => {
    const level = line.indexOf(" ");
    return `<h${level}>${inline(line.slice(level + 1))}</h${level}>`;
  },
  ul: (lines) => items("ul", lines),
  ol: (lines) => items("ol", lines),
  quote: (lines) => `<blockquote>${inline(lines.join(" "))}</blockquote>`,
  p: (lines) => `<p>${inline(lines.join(" "))}</p>`,
  code: (lines) => `<pre>${escapeHtml(lines.join("\n"))}</pre>`,
};
const render = (source) =>
  blocks(source)
    .map(({ kind, lines }) => renderers[kind](lines))
    .join("\n");
render(PARAM);
// --- turn
const open = [...render(PARAM).matchAll(/<(\w+)/g)].length,
  closed = [...render(PARAM).matchAll(/<\/(\w+)/g)].length;
`${open} tags opened, ${closed} closed`;
// --- turn
renderers.heading = ([line]) => {
  const text = line.replace(/^#+ /, "");
  return `<a id="${text.toLowerCase()}">${inline(text)}</a>`;
};
console.log(render(PARAM).split("\n")[0]);
`no headings left: ${!render(PARAM).includes("<h")}`;
