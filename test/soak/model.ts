/**
 * What callers were told of one session, and what its transcript may therefore hold.
 *
 *   M1. A turn whose result somebody has is in the transcript: once, whole, in order.
 *   M2. A turn that was refused, failed, was cancelled, or lost as "not committed", is not.
 *   M3. Of the others (the store failed, or did not answer) either may be so.
 *   M4. A checkpoint stands, with what its turn had said so far, whatever became of the turn.
 */
import type { Message } from "../../src/index.ts";

export type Fate = "done" | "not" | "maybe";

export class SoakSession {
  readonly id: string;
  readonly turns: { prompt: string; answer: string; fate: Fate }[] = [];
  /** Somebody works with it. */
  isBusy = false;
  hasLeft = false;

  constructor(id: string) {
    this.id = id;
  }

  /** @returns what is wrong with a transcript; undefined: nothing */
  problemWith(messages: readonly Message[]): string | undefined {
    const said = messages.map((message) => ("content" in message ? String(message.content) : ""));
    let at = 0;
    for (const { prompt, answer, fate } of this.turns) {
      const isThere = said[at] === prompt && said[at + 1] === answer;
      if (isThere && fate === "not") return `a turn that was not done is there: ${prompt}`;
      if (!isThere && fate === "done") return `a turn that was done is not where it should be (message ${at}): ${prompt}`;
      if (isThere) at += 2;
      else if (said[at] === prompt && prompt.includes("checkpoint")) at++; // M4
    }
    return at === said.length ? undefined : `something nobody asked for is there (message ${at}): ${said[at]}`;
  }
}
