/** Hosts over lanes in this thread. The test file itself puts `startFakeThread` in the place of `startLaneThread`. */
import { afterEach } from "vitest";

import { EphemeralSessionService } from "../../../src/host/ephemeral-service.ts";
import { defineAgent } from "../../../src/lane/define-agent.ts";
import type { SessionAgentBuilder, SimpleAgentDefinition, TurnFunction } from "../../../src/protocol/agent.ts";
import type { SessionServiceOptions } from "../../../src/protocol/options.ts";
import { agent, threads } from "./in-thread-lanes.ts";

export type AnyAgent = SessionAgentBuilder | SimpleAgentDefinition | TurnFunction;

/** @returns what opens a host of one lane; each is shut down when its test ends */
export function inThreadHosts(): (from: AnyAgent, options?: Partial<SessionServiceOptions>) => Promise<EphemeralSessionService> {
  const open: EphemeralSessionService[] = [];
  afterEach(() => Promise.all(open.splice(0).map((service) => service.shutdown({ deadlineMs: 0 }))));
  return async (from, options) => {
    agent.builder = "buildAgent" in from ? from : defineAgent(from);
    threads.length = 0;
    const service = await EphemeralSessionService.open({ agent: "in-thread", lanes: { count: 1 }, ...options });
    open.push(service);
    return service;
  };
}

/** @returns the id of a new session that has not had a turn */
export async function deferred(service: EphemeralSessionService): Promise<string> {
  return (await service.createSession({ prompt: "", initialTurn: "defer" })).sessionId;
}
