/** The agent of no-op turns: it answers with its prompt, so what is measured is the host. */
import { defineAgent } from "../../src/agent.ts";

export default defineAgent(({ prompt }) => prompt);
