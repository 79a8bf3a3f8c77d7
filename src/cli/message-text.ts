/** What a session says of itself, as text for people: its messages and labels. */
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
