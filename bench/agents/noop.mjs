/** The agent of no-op turns: what is measured is the host. */
import { defineAgent } from "../../dist/src/agent.js";

export default defineAgent(() => "");
