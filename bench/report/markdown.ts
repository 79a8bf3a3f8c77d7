/** Markdown the way the formatter leaves it, so that a written document passes the format check. */

/** @returns a table with its columns aligned */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, ...rows].map((cells) => cells.map((cell) => cell.replaceAll("|", String.raw`\|`)));
  const widths = head.map((_, column) => Math.max(3, ...lines.map((cells) => cells[column]?.length ?? 0)));
  const [first, ...rest] = lines.map((cells) => row(widths.map((width, column) => (cells[column] ?? "").padEnd(width))));
  return [first, row(widths.map((width) => "-".repeat(width))), ...rest].join("\n");
}

const row = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;

/**
 * Put a section between its markers, `<!-- NAME:begin -->` and `<!-- NAME:end -->`.
 *
 * @throws Error when the document does not have both, in this order
 */
export function withSection(document: string, name: string, section: string): string {
  const begin = `<!-- ${name}:begin -->`;
  const end = `<!-- ${name}:end -->`;
  const from = document.indexOf(begin);
  const to = document.indexOf(end, from);
  if (from < 0 || to < 0) throw new Error(`the document has no ${begin} … ${end}`);
  return `${document.slice(0, from)}${begin}\n\n${section.trim()}\n\n${document.slice(to)}`;
}
