/** The agent of the stream case: its turn emits one event, which says when. */
import { defineAgent } from "../../src/agent.ts";
import { stampOf } from "../peers/stamps.ts";

export default defineAgent(({ emit }) => {
  void emit({ type: "text_delta", delta: stampOf() });
  return "";
});
