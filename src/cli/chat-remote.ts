/** A chat with sessions of a server. */
import type { WarrenClient } from "../client/index.ts";
import { agentFailure } from "../protocol/errors.ts";
import type { ChatHost, ChatSummary, ChatTurn, ChatTurnOptions } from "./chat-host.ts";
import { controllerUnder } from "./controller-under.ts";
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
    async create({ agent, labels }, signal) {
      const request = { initialTurn: "defer", agent, ...(labels && { labels: { ...labels } }) } as const;
      return (await client.createSession(request, { signal })).sessionId;
    },
    turn: (id, prompt, options) => turnOf(client, id, prompt, options),
    async history(id, limit, signal) {
      const { state } = await client.read(id, { signal });
      return (await client.history(id, { offset: Math.max(0, state.messageCount - limit), limit }, { signal })).messages;
    },
    async list(limit, signal) {
      const found: ChatSummary[] = [];
      const all = client.sessions({ limit: Math.min(limit, PAGE) }, { signal });
      for await (const { sessionId: session, updatedAt, messageCount, labels } of all) {
        found.push({ id: session, updatedAt, messageCount, labels });
        if (found.length >= limit) break;
      }
      return found;
    },
    async system(id, text, signal) {
      return (await client.appendSystemContext(id, { text }, { signal })).status;
    },
    close: async () => {},
  };
}

/** Others may use the session: what is not known to be this turn is not interrupted. The server ends the turn of a connection that ends. */
function turnOf(client: WarrenClient, id: string, prompt: string, { timeoutMs, onBusy, onEvent, signal }: ChatTurnOptions): ChatTurn {
  const stop = controllerUnder(signal);
  let ticket: number | undefined;
  const result = client.startTurn(
    id,
    { prompt, timeoutMs, onBusy, cancelOnDisconnect: true },
    {
      signal: stop.signal,
      onEvent: ({ payload }) => onEvent(payload),
      onAdmitted: (given) => (ticket = given),
    },
  );
  const interrupt = async (): Promise<void> => {
    const isOwn = onBusy !== "merge"; // one that was merged is others' too
    if (isOwn && ticket !== undefined) await client.interrupt(id, { ticket, signal });
    else stop.abort(agentFailure("cancelled", "Run was cancelled", { sessionId: id }));
  };
  return { result, interrupt };
}
