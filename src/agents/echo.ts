/** Answers with its prompt, and streams it as one text event: the smallest useful agent, and what benchmarks run. */
import { defineAgent } from "../agent.ts";

export default defineAgent(async ({ prompt, emit }) => {
  await emit({ type: "text_delta", delta: prompt });
  return prompt;
});
