/** A chat's host in this process: one lane, gone with the chat, or over a store. */
import { EphemeralSessionService } from "../host/ephemeral-service.ts";
import { PersistentSessionService } from "../host/persistent-service.ts";
import type { SessionService } from "../host/session-service.ts";
import type { EventEnvelope } from "../protocol/events.ts";
import { agentModules, openingRefusal } from "./agent-option.ts";
import type { ChatHost } from "./chat-host.ts";
import { controllerUnder } from "./controller-under.ts";

/** The interpreter gives its programs a share of the thread's stack. */
const LANE_STACK_MB = 16;
/** Milliseconds; who reads our output may pause as long as he likes. */
const NEVER_STALLED_MS = 2_147_483_647;
/** Milliseconds until what still runs is interrupted. */
const CLOSE_MS = 0;

/** @throws UsageError when the agent does not load or the store does not open */
export async function openLocalChat(agent: string, store: string | undefined): Promise<ChatHost> {
  const options = {
    agent: agentModules([agent]),
    lanes: { count: 1, resourceLimits: { stackSizeMb: LANE_STACK_MB } },
    consumerStallMs: NEVER_STALLED_MS,
  };
  try {
    if (store === undefined) return chatHostOver(await EphemeralSessionService.open(options));
    return chatHostOver(await PersistentSessionService.open({ ...options, store: { kind: "lmdb", path: store }, events: "log" }));
  } catch (error) {
    throw openingRefusal(error, agent);
  }
}

function chatHostOver(service: SessionService): ChatHost {
  return {
    async create({ labels }) {
      const { sessionId } = await service.createSession({ prompt: "", initialTurn: "defer", ...(labels && { labels: { ...labels } }) });
      return sessionId;
    },
    turn(id, prompt, { timeoutMs, onBusy, onEvent, signal }) {
      const stop = controllerUnder(signal);
      const request = { prompt, timeoutMs, onBusy, onEvent: ({ payload }: EventEnvelope) => onEvent(payload) };
      const result = service.startTurn(id, request, { signal: stop.signal });
      return { result, interrupt: async () => stop.abort() };
    },
    async history(id, limit) {
      const { messageCount } = await service.readHistory(id, { limit: 0 });
      return (await service.readHistory(id, { offset: Math.max(0, messageCount - limit), limit })).messages;
    },
    async list(limit) {
      return (await service.list({ limit })).map(({ sessionId, updatedAt, messageCount, labels }) => ({
        id: sessionId,
        updatedAt,
        messageCount,
        labels,
      }));
    },
    async system(id, text) {
      return (await service.appendSystemContext(id, { text })).status;
    },
    close: () => service.shutdown({ deadlineMs: CLOSE_MS }),
  };
}
