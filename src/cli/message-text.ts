/** What a session says of itself, as text for people: its messages, labels and times. */
import type { Message } from "../protocol/session-model.ts";

/** @returns what a message says, tool calls and results too. Not yet fit for a terminal: see printable.ts */
export function messageText(message: Message): string {
  switch (message.role) {
    case "system":
    case "user":
      return message.content;
    case "assistant":
      return [message.content, ...(message.toolCalls ?? []).map((call) => `${call.name} ${JSON.stringify(call.args)}`)].join("\n");
    case "block_assistant":
      return message.blocks
        .map(({ blockType, data }) => (blockType === "tool_use" ? `${data.name} ${JSON.stringify(data.args)}` : data.text))
        .join("\n");
    case "tool_results":
      return message.results.map(({ content }) => content).join("\n");
    default:
      return message satisfies never;
  }
}

export const labelsText = (labels: Readonly<Record<string, string>>): string =>
  Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(" ");
/** UTC. Agents may name any time. */
export function timeOf(ms: number): string {
  const time = new Date(ms);
  return Number.isNaN(time.getTime()) ? String(ms) : `${time.toISOString().slice(0, 19).replace("T", " ")}Z`;
}
