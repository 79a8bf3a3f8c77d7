/** The no-op agent, which also tells what its lane's heap holds when the prompt is "heap". */
import { threadId } from "node:worker_threads";

import { defineAgent } from "../../src/agent.ts";
import { usedHeapBytes } from "../harness/memory.ts";

export default defineAgent(({ prompt }) => (prompt === "heap" ? JSON.stringify({ threadId, bytes: usedHeapBytes() }) : prompt));
