/** Main's record of a session: where it lives and what main itself knows of it. Counts and usage are in shared memory. */
import type { Permit } from "../core/admission.ts";
import type { SessionEvent, SessionState } from "../core/machines.ts";
import { SESSION_TRANSITIONS, advance } from "../core/machines.ts";
import type { Mailbox } from "../core/mailbox.ts";
import type { SystemContextLedger } from "../core/system-context.ts";
import type { LaneCommand } from "../protocol/frames.ts";
import type { HandleKind } from "../protocol/handles.ts";
import type { SessionId } from "../protocol/ids.ts";
import type { HostLane } from "./host-lane.ts";
import type { KeptEntry } from "./kept-entry.ts";
import type { Peer } from "./comms/peer.ts";
import type { RemoteHandle } from "./remote-handles.ts";
import type { SessionChannel } from "./session-channel.ts";
import type { Turn } from "./turn.ts";

const NO_LABELS: Readonly<Record<string, string>> = Object.freeze({});

export class SessionEntry {
  /** Given by the host, unless the builder chooses another; fixed once registered. */
  id: SessionId;
  readonly slot: number;
  readonly generation: number;
  readonly lane: HostLane;
  /** Its place, until it hands it on. */
  permit: Permit;
  readonly labels: Readonly<Record<string, string>>;
  state: SessionState = "building";
  /** The agent's, as epoch milliseconds. */
  createdAt = 0;
  lastAssistantText: string | undefined;
  /** HANDLE_BITS of what the agent offers. */
  handleBits = 0;
  /** The turn admitted last, until it settles; it leads to those before it whose reports are still on their way. */
  turn: Turn | undefined;
  /** Exports, forks, history pages and context writes that wait for the lane. */
  queries = 0;
  /** Of them: on their way to its mailbox, or in it. */
  asked = 0;
  /** Milliseconds its code was seen to run, since it was made live. */
  cpuMs = 0;
  isArchived = false;
  /** Turns wait for it because it was busy (busy-lines.ts): no other is admitted. */
  hasWaiting = false;
  /** A run of its agent is to be undone wholly: the next turn has a new one, built from the last boundary. */
  mustRenew = false;
  /** It stays alive between turns: it is neither put to sleep nor moved. */
  isHostMode = false;
  #isSuspect = false;
  /** Of a session that is kept in a store. */
  kept: KeptEntry | undefined;
  // Made when first needed: most sessions have none of these.
  /** Commands that wait for room in its mailbox, and all behind them (session-queries.ts). */
  line: Mailbox<LaneCommand> | undefined;
  ledger: SystemContextLedger | undefined;
  channel: SessionChannel | undefined;
  /** As other sessions know it: of one that asked for a name. */
  comms: Peer | undefined;
  /** Its open handles. */
  remotes: Map<HandleKind, RemoteHandle> | undefined;

  constructor(place: {
    id: SessionId;
    slot: number;
    generation: number;
    lane: HostLane;
    permit: Permit;
    labels: Record<string, string> | undefined;
  }) {
    this.id = place.id;
    this.slot = place.slot;
    this.generation = place.generation;
    this.lane = place.lane;
    this.permit = place.permit;
    this.labels = place.labels === undefined || Object.keys(place.labels).length === 0 ? NO_LABELS : Object.freeze({ ...place.labels });
  }

  /** It is suspected of having brought a lane down; its lane counts those it holds. */
  get isSuspect(): boolean {
    return this.#isSuspect;
  }

  set isSuspect(isSuspect: boolean) {
    if (isSuspect !== this.#isSuspect) this.lane.suspects += isSuspect ? 1 : -1;
    this.#isSuspect = isSuspect;
  }

  /** Apply an event of the session machine. @throws Error when it is illegal: a bug */
  step(event: SessionEvent): void {
    this.state = advance(SESSION_TRANSITIONS, this.state, event);
  }
}
