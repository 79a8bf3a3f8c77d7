/** What is left of archived sessions of an ephemeral host: their last views, the newest so many, the oldest out. */
import type { SessionId } from "../protocol/ids.ts";
import type { SessionView } from "../protocol/views.ts";

export class ArchivedViews {
  readonly #max: number;
  readonly #views = new Map<SessionId, SessionView>();

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#views.size;
  }

  get(id: SessionId): SessionView | undefined {
    return this.#views.get(id);
  }

  has(id: SessionId): boolean {
    return this.#views.has(id);
  }

  put(view: SessionView): void {
    const id = view.state.sessionId;
    this.#views.delete(id);
    this.#views.set(id, view);
    if (this.#views.size > this.#max) this.#views.delete(this.#views.keys().next().value as SessionId);
  }

  /** A turn that was running at the archive has ended. */
  refresh(view: SessionView): void {
    if (this.#views.has(view.state.sessionId)) this.#views.set(view.state.sessionId, view);
  }

  /** The id has a live session again. */
  drop(id: SessionId): void {
    this.#views.delete(id);
  }
}
