/**
 * Sessions as one would keep them without a host: objects in a map. What it reads and lists is what Warren reads and lists.
 * Behind comlink it is a peer; in process, where nothing protects it from what agents do, it is a limit.
 */
import { randomUUID } from "node:crypto";

import type { Message, SessionSummary, SessionView } from "../../src/index.ts";

interface StoredSession {
  readonly id: string;
  readonly createdAt: number;
  updatedAt: number;
  readonly labels: Record<string, string>;
  readonly messages: Message[];
  readonly usage: { inputTokens: number; outputTokens: number };
  isActive: boolean;
}

export class SessionStore {
  readonly #sessions = new Map<string, StoredSession>();
  /** Ids in order; they are created in it. */
  #ids: string[] = [];

  /** @returns the new session's id. Ids grow, as UUIDv7 does. */
  create(labels: Record<string, string> = {}): string {
    const nowMs = Date.now();
    const id = `${String(this.#ids.length).padStart(12, "0")}-${randomUUID()}`;
    this.#ids.push(id);
    const usage = { inputTokens: 0, outputTokens: 0 };
    this.#sessions.set(id, { id, createdAt: nowMs, updatedAt: nowMs, labels: { ...labels }, messages: [], usage, isActive: false });
    return id;
  }

  createMany(count: number): string[] {
    return Array.from({ length: count }, () => this.create());
  }

  read(id: string): SessionView {
    const { createdAt, updatedAt, messages, usage, isActive, labels } = this.#of(id);
    return {
      state: { sessionId: id, createdAt, updatedAt, messageCount: messages.length, isActive, labels: { ...labels } },
      billing: { totalTokens: usage.inputTokens + usage.outputTokens, usage: { ...usage } },
    };
  }

  list({ after, limit }: { after?: string; limit: number }): SessionSummary[] {
    const start = after === undefined ? 0 : this.#behind(after);
    return this.#ids.slice(start, start + limit).map((id) => {
      const { createdAt, updatedAt, messages, usage, isActive, labels } = this.#of(id);
      const totalTokens = usage.inputTokens + usage.outputTokens;
      return { sessionId: id, createdAt, updatedAt, messageCount: messages.length, totalTokens, isActive, labels: { ...labels } };
    });
  }

  /** Run a turn that computes until `endTurn`; it lets others in every `sliceMs`, without which nobody would ever be answered. */
  startTurn(id: string, sliceMs: number): void {
    const session = this.#of(id);
    session.isActive = true;
    const slice = (): void => {
      if (!session.isActive) return;
      for (const endsAt = performance.now() + sliceMs; performance.now() < endsAt;);
      setImmediate(slice);
    };
    setImmediate(slice);
  }

  endTurn(id: string): void {
    this.#of(id).isActive = false;
  }

  clear(): void {
    this.#sessions.clear();
    this.#ids = [];
  }

  #of(id: string): StoredSession {
    const session = this.#sessions.get(id);
    if (session === undefined) throw new Error(`no session ${id}`);
    return session;
  }

  #behind(id: string): number {
    let low = 0;
    let high = this.#ids.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#ids[middle] as string) <= id) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
