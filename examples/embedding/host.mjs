import { EphemeralSessionService } from "warren";

const service = await EphemeralSessionService.open({ agent: new URL("./agent.mjs", import.meta.url) });
const { sessionId, text } = await service.createSession({ prompt: "hello" });
console.log(text);
const stream = service.streamTurn(sessionId, { prompt: "once more" });
for await (const { seq, payload } of stream) console.log(seq, payload);
console.log((await stream.result).text);
await service.shutdown();
