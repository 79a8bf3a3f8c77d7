/** Task of piscina's workers with work for a core. */
import type { CallRequest, CallResult } from "./call-peer.ts";
import { answer } from "./call-peer.ts";
import { integerWork } from "./cpu-work.ts";

export default function work({ sessionId }: CallRequest): CallResult {
  return answer({ sessionId, prompt: integerWork() });
}
