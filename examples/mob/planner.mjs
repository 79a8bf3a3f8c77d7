/**
 * The planner: hands out the jobs of a batch to whichever worker is free, and writes down what comes back.
 *
 * Its prompt is the batch. Every answer is a message of its transcript, saved at once: a planner that is resumed reads there what is done, and
 * goes on with the rest. A job may be handed out twice, when its worker is taken for lost; what counts is its first answer.
 */
import { defineAgent } from "warren/agent";

/** Milliseconds without any answer after which whoever owes one is taken for lost. */
const SILENCE_MS = 10_000;

export default defineAgent(async ({ messages, comms, emit, append, checkpoint }) => {
  const batch = JSON.parse(messages.find(({ role }) => role === "user").content);
  const results = messages.flatMap((message) => (message.role === "tool_results" ? message.results : []));
  const done = new Set(results.map(({ toolUseId }) => toolUseId));
  /** Request id → who has which job. */
  const running = new Map();
  let waiting;
  let free;
  const beginAnew = async () => {
    running.clear();
    waiting = batch.filter(({ name }) => !done.has(name));
    free = (await comms.peers()).map(({ name }) => name);
    if (free.length === 0) throw new Error("there are no workers");
  };

  await beginAnew();
  while (done.size < batch.length) {
    while (free.length > 0 && waiting.length > 0) {
      const worker = free.pop();
      const job = waiting.shift();
      const { id } = await comms.send({ kind: "peer_request", to: worker, intent: "run", params: job.programs });
      running.set(id, { worker, job });
    }
    const response = await nextWithin(comms, SILENCE_MS);
    if (response === undefined) {
      await beginAnew();
      continue;
    }
    const request = running.get(response.inReplyTo);
    if (request === undefined) continue; // it was taken for lost
    running.delete(response.inReplyTo);
    free.unshift(request.worker);
    const { name } = request.job;
    const content = JSON.stringify(response.result);
    append({ role: "tool_results", results: [{ toolUseId: name, content, isError: response.status === "failed" }] });
    done.add(name);
    await checkpoint();
    await emit({ type: "job_done", name, worker: request.worker, done: done.size, of: batch.length });
  }
  return `${done.size} jobs done`;
});

/** @returns the next message, undefined when none comes in time. An interrupt of the turn ends the wait too */
async function nextWithin(comms, ms) {
  const signal = AbortSignal.timeout(ms);
  try {
    return await comms.receive({ signal });
  } catch (error) {
    if (!signal.aborted) throw error;
    return undefined;
  }
}
