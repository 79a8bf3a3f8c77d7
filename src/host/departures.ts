/** Sessions on their way out of their lanes, each until its lane has forgotten it, or it stays after all. */
import type { SlotTable } from "../core/slot-table.ts";
import { lockHolder } from "../core/turn-lock.ts";
import type { SessionId } from "../protocol/ids.ts";
import type { SessionEntry } from "./session-entry.ts";

interface Departure {
  readonly entry: SessionEntry;
  readonly over: Promise<void>;
  readonly onOver: () => void;
}

export class Departures {
  readonly #table: SlotTable;
  readonly #byId = new Map<SessionId, Departure>();

  constructor(table: SlotTable) {
    this.#table = table;
  }

  begin(entry: SessionEntry): void {
    let onOver!: () => void;
    const over = new Promise<void>((resolve) => (onOver = resolve));
    this.#byId.set(entry.id, { entry, over, onOver });
  }

  /** It is over. @returns what tells those who waited; undefined: this very session was not leaving */
  end(entry: SessionEntry): (() => void) | undefined {
    const departure = this.#byId.get(entry.id);
    if (departure?.entry !== entry) return undefined;
    this.#byId.delete(entry.id);
    return departure.onOver;
  }

  /** Resolves when the departure of that id is over; undefined: there is none. Never rejects. */
  over(id: SessionId): Promise<void> | undefined {
    return this.#byId.get(id)?.over;
  }

  /** The session of that id that leaves. */
  of(id: SessionId): SessionEntry | undefined {
    return this.#byId.get(id)?.entry;
  }

  /** Whether a turn of the session of that id that leaves still runs. */
  isActive(id: SessionId): boolean {
    const entry = this.of(id);
    return entry !== undefined && lockHolder(this.#table, entry.slot) > 0;
  }
}
