/** Says what befalls a host: to its listener, its log and its counters. Listener and logger are the operator's code: what they throw ends here. */
import type { HostEvent, HostEventCounts, HostEventType } from "../protocol/host-events.ts";
import { HOST_EVENTS } from "../protocol/host-events.ts";
import type { Logger } from "../protocol/options.ts";

export type HostEventFields = Omit<HostEvent, "type" | "timestampMs">;

export class HostEvents {
  readonly #logger: Logger | undefined;
  readonly #listener: ((event: HostEvent) => void) | undefined;
  readonly #counts = Object.fromEntries(Object.keys(HOST_EVENTS).map((type) => [type, 0])) as HostEventCounts;

  constructor({ logger, onHostEvent }: { logger?: Logger | undefined; onHostEvent?: ((event: HostEvent) => void) | undefined }) {
    this.#logger = logger;
    this.#listener = onHostEvent;
  }

  emit(type: HostEventType, fields: HostEventFields = {}): void {
    this.#counts[type]++;
    try {
      this.#listener?.({ type, timestampMs: Date.now(), ...fields });
    } catch {
      // there is nobody else to tell
    }
    const { level, message } = HOST_EVENTS[type];
    if (level === undefined || this.#logger === undefined) return;
    const { lane, sessionId, ticket, details } = fields;
    const line = {
      event: type,
      ...(lane !== undefined && { lane }),
      ...(sessionId !== undefined && { session: sessionId }),
      ...(ticket !== undefined && { ticket }),
      ...details,
    };
    try {
      this.#logger[level](line, message);
    } catch {
      // as above
    }
  }

  /** A copy. */
  counts(): HostEventCounts {
    return { ...this.#counts };
  }
}
