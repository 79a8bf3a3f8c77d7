import { describe, expect, test } from "vitest";

import { StoredSessions } from "../../src/host/stored-sessions.ts";
import { MemoryStore } from "../../src/store/memory-store.ts";
import { clientOf, NO_USAGE, user } from "./support/kept-agent.ts";

const state = (system: string | undefined) => ({ updatedAt: 1, usage: NO_USAGE, metadata: {}, lastSeq: 0, contextTaken: 0, system });

describe.each([undefined, "be brief"])("pages of a stored transcript, system message: %s", (system) => {
  test("every page is the slice of the whole", async () => {
    const store = new MemoryStore();
    const stored = new StoredSessions(clientOf(store), () => true);
    const messages = ["0", "1", "2", "3"].map(user);
    const request = { prompt: "" };
    await store.create({ id: "s", createdAt: 1, labels: {}, agent: "a", request, state: state(system), messages });
    const whole = (await stored.session("s"))?.messages ?? [];
    expect(whole.length).toBe(system === undefined ? 4 : 5);
    for (let offset = 0; offset < 7; offset++) {
      for (const limit of [undefined, 0, 1, 2, 4, 5, 9]) {
        const page = await stored.history("s", { offset, limit });
        const end = limit === undefined ? undefined : offset + limit;
        expect([offset, limit, page.messages]).toEqual([offset, limit, whole.slice(offset, end)]);
        expect(page.hasMore).toBe(end !== undefined && end < whole.length);
      }
    }
  });

  test("a session that is not stored is not found", async () => {
    const stored = new StoredSessions(clientOf(new MemoryStore()), () => true);
    await expect(stored.history("s", { offset: 0, limit: undefined })).rejects.toMatchObject({ code: "SESSION_NOT_FOUND" });
  });
});
