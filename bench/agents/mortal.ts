/** The no-op agent, which ends its thread when the prompt is "exit", and tells which one it is when it is "where". */
import { threadId } from "node:worker_threads";

import { defineAgent } from "../../src/agent.ts";

export default defineAgent(({ prompt }) => {
  if (prompt === "exit") process.exit(1);
  return prompt === "where" ? String(threadId) : prompt;
});
