/** A store behind a real client, in this thread, and an agent whose transcript the test writes. */
import { MemoryStore } from "../../../src/store/memory-store.ts";
import { StoreServer } from "../../../src/store/serve-store.ts";
import type { SessionAgent } from "../../../src/protocol/agent.ts";
import type { Message, Session, SessionSnapshot } from "../../../src/protocol/session-model.ts";
import { StoreError } from "../../../src/protocol/store-error.ts";
import { memoryPipe } from "../../../src/transport/memory-transport.ts";
import { StoreClient } from "../../../src/transport/store-client.ts";

type Write = Parameters<MemoryStore["append"]>[0];

/** A store in memory that writes down how sessions were written, and fails or waits as the test says. */
export class JournalStore extends MemoryStore {
  /** Each write as it came: how, messages, version it named. */
  readonly writes: [how: "append" | "rewrite", messages: number, version: number][] = [];
  fails: "before" | "after" | undefined;
  wait: Promise<void> | undefined;

  override append(write: Write): Promise<void> {
    return this.#do("append", write, () => super.append(write));
  }
  override rewrite(write: Write): Promise<void> {
    return this.#do("rewrite", write, () => super.rewrite(write));
  }

  async #do(how: "append" | "rewrite", write: Write, make: () => Promise<void>): Promise<void> {
    this.writes.push([how, write.messages.length, write.version]);
    await this.wait;
    if (this.fails === "before") throw new StoreError("io", "fails as told");
    await make();
    if (this.fails === "after") throw new StoreError("io", "fails as told, when it is done");
  }
}

/** @returns a client of the store, over a pipe, as a lane has one */
export function clientOf(store: MemoryStore): StoreClient {
  const [near, far] = memoryPipe();
  new StoreServer(store, () => {}).serve(far, 1);
  return new StoreClient(near);
}

export const user = (content: string): Message => ({ role: "user", content });
export const NO_USAGE = { inputTokens: 0, outputTokens: 0 };

/** What a keeper needs of an agent. */
export class WrittenAgent {
  messages: Message[] = [];
  updatedAt = 1;
  revision: number | undefined;
  metadata: Record<string, string> = {};
  readonly messagesFrom: ((index: number) => Message[]) | undefined;

  /** @param isDelta - it gives what it added, without a clone */
  constructor(isDelta: boolean) {
    if (isDelta) this.messagesFrom = (index) => this.messages.slice(index);
  }

  add(...contents: string[]): this {
    this.messages.push(...contents.map(user));
    this.updatedAt++;
    return this;
  }

  sessionClone(): Session {
    const { messages, updatedAt, metadata } = this;
    return { version: 1, id: "s", messages: [...messages], createdAt: 1, updatedAt, metadata: { ...metadata }, usage: NO_USAGE } as Session;
  }

  snapshot(): SessionSnapshot {
    const { messages, updatedAt, revision } = this;
    return { createdAt: 1, updatedAt, messageCount: messages.length, usage: NO_USAGE, ...(revision !== undefined && { revision }) };
  }

  get agent(): SessionAgent {
    return this as unknown as SessionAgent;
  }
}
