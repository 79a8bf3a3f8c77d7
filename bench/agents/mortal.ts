/** Answers with the thread it runs in, and ends that when the prompt is "exit". */
import { threadId } from "node:worker_threads";

import { defineAgent } from "../../src/agent.ts";

export default defineAgent(({ prompt }) => {
  if (prompt === "exit") process.exit(1);
  return String(threadId);
});
