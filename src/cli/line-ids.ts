/**
 * Ids of lines: what a line is known by in the output and, where sessions are stored, from one run to the next. A line may name its own;
 * one that does not is known by what it says, and by which of the lines that say the same it is.
 *
 * Owns every id it gave out: a duplicate can only be told by all of them.
 */
import { createHash } from "node:crypto";

import type { TurnLine } from "./turn-line.ts";

/** Hexadecimal digits: 80 bits tell lines apart, however many there are. */
const DIGEST_LENGTH = 20;

export class LineIds {
  readonly #areAllNamed: boolean;
  /** Number of the line that has it. */
  readonly #lines = new Map<string, number>();
  /** By digest: lines without an id that say the same. */
  readonly #copies = new Map<string, number>();

  /** @param areAllNamed - give lines without an id one that other runs over the same lines will find too */
  constructor(areAllNamed: boolean) {
    this.#areAllNamed = areAllNamed;
  }

  /** @returns the line's id, if it has one, or what is wrong with it */
  take(line: number, turn: TurnLine): { readonly id: string | undefined } | { readonly problem: string } {
    const id = turn.id ?? (this.#areAllNamed ? this.#made(turn) : undefined);
    if (id === undefined) return { id };
    const other = this.#lines.get(id);
    if (other !== undefined) return { problem: `id: is that of line ${other}` };
    this.#lines.set(id, line);
    return { id };
  }

  #made({ session, prompt }: TurnLine): string {
    const said = JSON.stringify([session, prompt]);
    const digest = createHash("sha256").update(said).digest("hex").slice(0, DIGEST_LENGTH);
    const copy = (this.#copies.get(digest) ?? 0) + 1;
    this.#copies.set(digest, copy);
    return `~${digest}.${copy}`;
  }
}
