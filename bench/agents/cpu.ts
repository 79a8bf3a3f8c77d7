/** The agent of CPU-bound turns. */
import { defineAgent } from "../../src/agent.ts";
import { integerWork } from "../peers/cpu-work.ts";

export default defineAgent(() => integerWork());
