/** The agent of the event case: its prompt says how many events it emits, and how long they are. */
import { defineAgent } from "../../src/agent.ts";
import { jobOf, textOf } from "../peers/event-work.ts";

export default defineAgent(async ({ prompt, emit }) => {
  const { events, bytes } = jobOf(prompt);
  const delta = textOf(bytes);
  for (let n = 0; n < events; n++) {
    const room = emit({ type: "text_delta", delta });
    if (room !== undefined) await room;
  }
  return "";
});
