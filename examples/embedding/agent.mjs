import { defineAgent } from "warren/agent";

export default defineAgent(async ({ prompt, turn, emit }) => {
  await emit({ type: "text_delta", delta: `thinking about turn ${turn}` });
  return prompt.toUpperCase();
});
