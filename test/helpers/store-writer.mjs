/** A process that opens a store, says so, and does as told: `hold` until it is killed, or `fill` until the store refuses. */
import { openLmdbStore } from "../../dist/src/store/lmdb-open.js";

const [path, what] = process.argv.slice(2);
const state = { updatedAt: 1, usage: { inputTokens: 0, outputTokens: 0 }, metadata: {}, lastSeq: 0, contextTaken: 0 };
const store = await openLmdbStore({ path });
await store.create({ id: "a", createdAt: 1, labels: {}, agent: "x", request: { prompt: "" }, state, messages: [] });
console.log("open");
if (what === "fill") {
  let version = 1;
  try {
    for (;;)
      await store.append({ id: "a", epoch: 1, version: version++, state, messages: [{ role: "user", content: "x".repeat(50_000) }] });
  } catch (error) {
    const { head, messages } = await store.open("a");
    console.log(
      JSON.stringify({ reason: error.reason, details: error.details, refused: version, version: head.version, messages: messages.length }),
    );
  }
  await store.close();
} else {
  setInterval(() => {}, 1000);
}
