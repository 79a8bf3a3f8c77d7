/** Which messages of a transcript a page has shown as turns already. */
import type { Message } from "../client/index.ts";
import { textOf } from "./transcript.ts";

/**
 * @param prompts - of turns that are shown, in their order
 * @returns the messages without those of these turns: each has its prompt, and what follows up to the next one
 */
export function withoutTurns(messages: readonly Message[], prompts: readonly string[]): Message[] {
  const rest = [...messages];
  for (const prompt of prompts) {
    const said = rest.findIndex((message) => message.role === "user" && textOf(message) === prompt);
    const from = Math.max(0, said); // an agent may have written down another prompt: then it is the first
    const next = rest.findIndex(({ role }, index) => index > from && role === "user");
    rest.splice(from, (next < 0 ? rest.length : next) - from);
  }
  return rest;
}
