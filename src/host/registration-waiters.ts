/** Callers that wait for the next session to be registered. */
import { hostClosed } from "../protocol/errors.ts";
import type { SessionId } from "../protocol/ids.ts";
import { overloaded } from "./overloaded.ts";

/** Callers that may wait. */
export const WAITERS_MAX = 1024;

export class RegistrationWaiters {
  #waiters: { resolve: (id: SessionId) => void; reject: (error: unknown) => void }[] = [];

  /** @returns what resolves at the next registration only. @throws SessionError HOST_OVERLOADED */
  next(): Promise<SessionId> {
    if (this.#waiters.length >= WAITERS_MAX)
      throw overloaded("registration_waiters", `${WAITERS_MAX} callers wait for a registration`, WAITERS_MAX);
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  /** @returns whether anybody waited */
  announce(id: SessionId): boolean {
    const waiters = this.#waiters;
    if (waiters.length === 0) return false;
    this.#waiters = [];
    for (const { resolve } of waiters) resolve(id);
    return true;
  }

  /** No session will be registered any more. */
  close(): void {
    for (const { reject } of this.#waiters.splice(0)) reject(hostClosed());
  }
}
