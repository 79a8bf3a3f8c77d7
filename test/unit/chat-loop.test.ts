import { EventEmitter } from "node:events";
import type { Interface } from "node:readline";

import { expect, test, vi } from "vitest";

import type { ChatHost, ChatTurn } from "../../src/cli/chat-host.ts";
import { ChatLoop } from "../../src/cli/chat-loop.ts";
import type { ResultWriter } from "../../src/cli/result-writer.ts";

class Lines extends EventEmitter {
  close(): void {
    this.emit("close");
  }
  pause(): void {}
  resume(): void {}
}

test("K4: left between the making of its session and the turn, nobody waits, and what the turn says is heard", async () => {
  const strays: unknown[] = [];
  const onStray = (error: unknown): void => void strays.push(error);
  process.on("unhandledRejection", onStray);
  const lines = new Lines();
  let chat!: ChatLoop;
  const turn = vi.fn<(signal: AbortSignal) => ChatTurn>((signal) => ({
    result: signal.aborted ? Promise.reject(signal.reason as Error) : new Promise(() => {}),
    interrupt: async () => {},
  }));
  const host: Partial<ChatHost> = {
    create: () => {
      const made = Promise.resolve("s1");
      queueMicrotask(() => void made.then(() => chat.leave(7))); // the chat knows its session, and has not gone on
      return made;
    },
    turn: (_id, _prompt, { signal }) => turn(signal),
  };
  chat = new ChatLoop({
    host: host as ChatHost,
    lines: lines as unknown as Interface,
    out: { hasFailed: false, print: async () => {}, write: async () => {} } as unknown as ResultWriter,
    tell: () => {},
    session: undefined,
    create: {},
    turn: {},
    isInteractive: false,
    json: false,
    onLeft: () => {},
  });
  const running = chat.run();
  lines.emit("line", "hello");
  expect(await running).toBe(7);
  await new Promise((resolve) => setTimeout(resolve, 10));
  process.off("unhandledRejection", onStray);
  expect(turn).toHaveBeenCalledOnce();
  expect(turn.mock.calls[0]?.[0].aborted).toBe(true);
  expect(strays).toEqual([]);
});
