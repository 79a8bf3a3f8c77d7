import { PersistentSessionService } from "warren";

const service = await PersistentSessionService.open({
  agent: new URL("../embedding/agent.mjs", import.meta.url),
  store: { kind: "lmdb", path: "sessions" },
});
const labels = { user: "ada" };
const [known] = await service.list({ labels });
const { sessionId } = known ?? (await service.createSession({ prompt: "", initialTurn: "defer", labels }));
const { text } = await service.startTurn(sessionId, { prompt: "hello again" });
const { state } = await service.read(sessionId);
console.log(text, state.messageCount);
await service.shutdown();
