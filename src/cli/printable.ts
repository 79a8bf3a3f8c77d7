/** Text of agents and of input for a terminal: without what could control it. */

/** @returns one line of at most `max` characters */
export function printable(text: string, max: number): string {
  const line = text.slice(0, max).replaceAll(/\p{C}+/gu, " ");
  return text.length > max ? `${line}…` : line;
}

/** @returns all of it, with its line ends */
export function printableLines(text: string): string {
  return text.replaceAll(/[^\P{C}\n\t]+/gu, " ");
}
