/** A chat with sessions of a server. */
import type { WarrenClient } from "../client/index.ts";
import type { ChatHost, ChatSummary } from "./chat-host.ts";
import { remoteRefusal } from "./remote.ts";

/** Sessions asked for at once. */
const PAGE = 500;

/** @throws UsageError when the server does not answer, or does not let the caller in */
export async function openRemoteChat(client: WarrenClient): Promise<ChatHost> {
  try {
    await client.list({ limit: 1 });
  } catch (error) {
    throw remoteRefusal(error) ?? error;
  }
  return {
    async create({ agent, labels }) {
      const { sessionId } = await client.createSession({ initialTurn: "defer", agent, ...(labels && { labels: { ...labels } }) });
      return sessionId;
    },
    turn: (id, prompt, { timeoutMs, onBusy, onEvent, signal }) =>
      client.startTurn(id, { prompt, timeoutMs, onBusy }, { signal, onEvent: ({ payload }) => onEvent(payload) }),
    interrupt: (id) => client.interrupt(id),
    async history(id, limit) {
      const { state } = await client.read(id);
      return (await client.history(id, { offset: Math.max(0, state.messageCount - limit), limit })).messages;
    },
    async list(limit) {
      const found: ChatSummary[] = [];
      for await (const { sessionId: session, updatedAt, messageCount, labels } of client.sessions({ limit: Math.min(limit, PAGE) })) {
        found.push({ id: session, updatedAt, messageCount, labels });
        if (found.length >= limit) break;
      }
      return found;
    },
    async system(id, text) {
      return (await client.appendSystemContext(id, { text })).status;
    },
    close: async () => {},
  };
}
