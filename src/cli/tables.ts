/** Tables and times for people. */
import Table from "cli-table3";

/** Without colours: what prints it may not be a terminal. */
export const plainTable = (...head: string[]): Table.Table => new Table({ head, style: { head: [], border: [], compact: true } });

/** @param ms - epoch milliseconds, also ones that no date has */
export function timeOf(ms: number): string {
  const time = new Date(ms);
  return Number.isNaN(time.getTime()) ? String(ms) : `${time.toISOString().slice(0, 19).replace("T", " ")}Z`;
}
