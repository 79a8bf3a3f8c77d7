/** The agent of a simulated host: does in each turn what was planned for it, and notes what it sees. */
import { AgentError, TurnInterrupted } from "../../src/lane/agent-errors.ts";
import { defineAgent } from "../../src/lane/define-agent.ts";
import type { SessionAgentBuilder, TurnContext, TurnOutput } from "../../src/protocol/agent.ts";
import type { Faults } from "./faults.ts";
import type { Model } from "./model.ts";
import type { Plan } from "./plans.ts";
import type { Process } from "./process.ts";
import type { World } from "./world.ts";

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Reads `text<number>` names out of what a model call is given. */
const STAGED = /context \d+/g;

export function simulatedAgent(world: World, model: Model, faults: Faults): SessionAgentBuilder {
  return defineAgent({
    setup: async ({ sessionId }) => {
      if (faults.happens(world.random, faults.buildFails)) {
        faults.saw("fault: an agent is not built");
        throw new Error(`the agent of ${sessionId} is not built: simulated`);
      }
      if (faults.happens(world.random, faults.buildHangs)) {
        faults.saw("fault: building an agent does not end");
        await new Promise(() => {});
      }
      if (world.random.chance(0.1)) await sleep(world.random.pick([1, 40]));
      return undefined;
    },
    turn: (turn) => {
      const { current } = world;
      const plan = model.enter(turn.sessionId, turn.prompt, current, turn.messages);
      if (plan.steps.length === 0 && plan.ending !== "hang") {
        model.leave(turn.prompt);
        return end(turn, plan);
      }
      return run(world, model, turn, plan, current, faults);
    },
  });
}

async function run(world: World, model: Model, turn: TurnContext, plan: Plan, lane: Process, faults: Faults): Promise<TurnOutput> {
  try {
    for (const step of plan.steps) {
      if (plan.obeys) turn.throwIfInterrupted();
      switch (step.do) {
        case "emit":
          for (let n = 1; n <= step.count; n++) {
            const emitted = turn.emit(n % 2 === 0 ? { type: "text_delta", delta: turn.prompt } : { type: "simulated", turn: turn.prompt });
            if (step.awaits && emitted !== undefined) {
              faults.saw("an agent waited for its consumer");
              await emitted;
            } else emitted?.catch(() => {}); // its turn says why
          }
          break;
        case "sleep":
          await (plan.obeys ? sleepUnlessAborted(step.ms, turn.signal) : sleep(step.ms));
          break;
        case "yield":
          await new Promise((resolve) => setImmediate(resolve));
          break;
        case "block":
          await block(world, turn, step, lane, faults);
          break;
        case "take":
          model.taken(turn.sessionId, turn.prompt, turn.takeSystemPrompt().match(STAGED) ?? []);
          break;
        case "checkpoint":
          await turn.checkpoint();
          break;
        case "stray":
          setTimeout(() => {
            faults.saw("fault: an agent's timer throws");
            throw new Error("stray, simulated");
          }, 1);
          break;
        default:
          step satisfies never;
      }
    }
    if (plan.ending === "hang") await hang(plan, turn);
    if (plan.obeys) turn.throwIfInterrupted();
    return end(turn, plan);
  } finally {
    model.leave(turn.prompt);
    const { emit, prompt } = turn;
    if (plan.emitsLate) setTimeout(() => void emit({ type: "late", turn: prompt }), 1);
  }
}

function end(turn: TurnContext, { ending }: Plan): TurnOutput {
  if (ending === "throw") throw new AgentError("simulated", "as planned");
  if (ending === "throw odd") throw "odd" as unknown as Error; // oxlint-disable-line no-throw-literal -- an agent may throw anything
  if (ending === "bad result") return { text: 5 } as unknown as TurnOutput;
  return `${turn.prompt}!`;
}

function sleepUnlessAborted(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new TurnInterrupted());
    });
  });
}

function hang({ obeys }: Plan, { signal }: TurnContext): Promise<never> {
  return new Promise((_, reject) => {
    if (obeys) signal.addEventListener("abort", () => reject(new TurnInterrupted()));
  });
}

/** Nothing of the lane runs until the time is over, or, for an agent that polls, until it is interrupted. */
async function block(
  world: World,
  turn: TurnContext,
  { ms, polls }: { ms: number; polls: boolean },
  lane: Process,
  faults: Faults,
): Promise<void> {
  faults.saw(polls ? "fault: an agent blocks its lane, and polls" : "fault: an agent blocks its lane");
  world.stall(lane, ms);
  if (polls) {
    const untilMs = world.nowMs + ms;
    const outside = world.spawn("poll", () => {});
    const later = outside.channel(world);
    const look = (): void => {
      if (turn.isInterrupted()) lane.stalledUntil = Math.min(lane.stalledUntil, world.nowMs);
      if (lane.isAlive && lane.stalledUntil > world.nowMs && world.nowMs < untilMs) later.post(look, 1);
      else world.kill(outside);
    };
    later.post(look, 1);
  }
  // What follows the blocking code runs when the loop moves again.
  await new Promise((resolve) => setImmediate(resolve));
}
