/** Labels as people write them: name=value, with commas or blanks between. */

/** @returns what is none as `rest` */
export function parseLabels(text: string): { labels: Record<string, string>; rest: string } {
  const labels = new Map<string, string>();
  const rest: string[] = [];
  for (const word of text.split(/[\s,]+/).filter((part) => part !== "")) {
    const at = word.indexOf("=");
    if (at > 0) labels.set(word.slice(0, at), word.slice(at + 1));
    else rest.push(word);
  }
  return { labels: Object.fromEntries(labels), rest: rest.join(" ") };
}
