/** What an agent tells of what goes on inside it. Asked at any time, also while its run goes on, so it is none of the mailbox's commands. */
import { hasErrorCode } from "../protocol/errors.ts";
import type { JsonValue } from "../protocol/json.ts";
import { cloneJson } from "../protocol/json.ts";
import type { AgentSnapshots } from "../protocol/snapshots.ts";
import type { SessionActor } from "./session-actor.ts";

/** @returns the snapshot as the agent gives it, null when it gives none. Rejects with what the agent throws, or NotJsonError */
export async function agentSnapshot(actor: SessionActor, which: keyof AgentSnapshots): Promise<JsonValue> {
  if (!actor.hasAgent) return null;
  const given = await (which === "peerIngressRuntimeSnapshot" ? peerIngress(actor) : actor.entered(() => actor.agent[which]?.()));
  return given === undefined || given === null ? null : cloneJson(given);
}

/** A comms runtime that says it has no such thing is one that has none. */
async function peerIngress(actor: SessionActor): Promise<unknown> {
  const runtime = actor.tenure.handles?.commsRuntime;
  try {
    return await actor.entered(() => runtime?.peerIngressRuntimeSnapshot?.());
  } catch (error) {
    if (hasErrorCode(error) && error.code === "SESSION_UNSUPPORTED") return undefined;
    throw error;
  }
}
