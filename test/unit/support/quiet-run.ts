/** A run that nobody interrupts or listens to. */
import type { RunContext } from "../../../src/protocol/agent.ts";

export const quietRun = (): RunContext => ({
  ticket: 1,
  signal: new AbortController().signal,
  isInterrupted: () => false,
  shouldStopAtBoundary: () => false,
  emit: () => {},
});
