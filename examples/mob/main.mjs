/**
 * A mob: a planner and four workers, spread over the lanes, solve a batch of real programs by sending each other messages. Everything
 * they know is in the store: kill it half-way, run it again, and it goes on with the jobs that are left.
 *
 *   node examples/mob/main.mjs                     solve the batch, or what is left of it
 *   node examples/mob/main.mjs --kill-after 20     end the process without warning after 20 jobs
 *   node examples/mob/main.mjs --store folder      where sessions are kept (default mob-sessions)
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";

import { PersistentSessionService, builtinAgents } from "warren";

const { values } = parseArgs({ options: { "kill-after": { type: "string" }, store: { type: "string", default: "mob-sessions" } } });
const killAfter = Number(values["kill-after"] ?? Infinity);

/** One job a session of the example turns: its programs in order, and what each must come to. */
const jobs = new Map();
for (const line of readFileSync(new URL("../turns.jsonl", import.meta.url), "utf8")
  .trim()
  .split("\n")) {
  const { session: name, prompt, expect } = JSON.parse(line);
  const job = jobs.get(name) ?? { name, programs: [], expected: [] };
  jobs.set(name, job);
  job.programs.push(prompt);
  job.expected.push(expect.text);
}
// Some sessions have turns that must fail; a job stops at its first failure.
const batch = [...jobs.values()].filter(({ expected }) => expected.every((text) => text !== undefined));

const service = await PersistentSessionService.open({
  agent: { planner: new URL("./planner.mjs", import.meta.url), interpreter: builtinAgents.interpreter },
  store: { kind: "lmdb", path: values.store },
  lanes: { count: 3 },
});

const workers = ["ada", "grace", "edsger", "barbara"];
/** @returns the session of a member of the mob, the one it had before if there is one */
async function member(name, agent, trustedPeers) {
  const labels = { mob: "example", member: name };
  const [known] = await service.list({ labels });
  const build = { commsName: name, trustedPeers };
  return known?.sessionId ?? (await service.createSession({ prompt: "", initialTurn: "defer", agent, labels, build })).sessionId;
}
const planner = await member("planner", "planner", workers);
const workerIds = await Promise.all(workers.map((name) => member(name, "interpreter", ["planner"])));

/** A worker's turn goes on for as long as it is in host mode: it waits for requests and answers them. A lost lane is no reason to stop. */
async function work(id) {
  for (;;) {
    try {
      return await service.startTurn(id, { prompt: "", hostMode: true });
    } catch (error) {
      if (error.agentError?.kind !== "lane_lost") throw error;
    }
  }
}
const working = Promise.all(workerIds.map(work));
working.catch(() => {}); // told below
const handles = await Promise.all(workerIds.map((id) => service.commsRuntime(id))); // they are live now

const { messages } = await service.exportSession(planner);
const last = messages.at(-1)?.role;
if (last === "tool_results") console.log(`going on: ${messages.length - 1} of ${batch.length} jobs were done before`);
if (last !== "assistant") {
  const { text } = await service.startTurn(planner, {
    ...(last === undefined
      ? { prompt: JSON.stringify(batch.map(({ name, programs }) => ({ name, programs }))) }
      : { prompt: "", executionKind: "resume_pending" }),
    onEvent: ({ payload: { name, worker, done, of } }) => {
      console.log(`${String(done).padStart(2)}/${of} ${worker.padEnd(8)} ${name}`);
      if (done >= killAfter) process.kill(process.pid, "SIGKILL");
    },
  });
  console.log(text);
}

const { messages: all } = await service.exportSession(planner);
const results = all.flatMap((message) => (message.role === "tool_results" ? message.results : []));
const expected = new Map(batch.map((job) => [job.name, JSON.stringify(job.expected)]));
const right = results.filter(({ toolUseId, content }) => content === expected.get(toolUseId));
console.log(`${right.length} of ${batch.length} jobs gave what Node's own engine gives`);

for (const handle of handles) await handle.dismissReceived();
const answered = (await working).reduce((sum, { turns }) => sum + turns, 0);
console.log(`the workers answered ${answered} requests in this run`);
await service.shutdown();
process.exitCode = right.length === batch.length && results.length === batch.length ? 0 : 1;
