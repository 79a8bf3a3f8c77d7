/**
 * Keeps one live session in the store: what is saved of it, and every write that follows. Fencing is the store's: this owns the epoch
 * it was given, and whatever the store refuses ends the live session.
 *
 *   K1. Writes of a session go one after the other; each names the version the one before made.
 *   K2. A write that failed changed nothing that is known here, and nothing is written behind one whose outcome is not known: the store
 *       refuses the version. Of a checkpoint, behind which its turn goes on, it is found out.
 *   K3. One checkpoint waits at most: a later one takes its place, unless something else waits behind it.
 */
import type { SessionAgent } from "../protocol/agent.ts";
import type { Session, SessionSnapshot } from "../protocol/session-model.ts";
import { lastAssistantText } from "../protocol/session-model.ts";
import type { PackedWrite } from "../protocol/store-calls.ts";
import type {
  KeyedRequest,
  NewSession,
  SavedTurn,
  SessionHead,
  SessionState,
  SessionWrite,
  StoredRequest,
} from "../protocol/stored-session.ts";
import { apart, metadataOf } from "../protocol/stored-session.ts";
import { packRest, packWrite } from "../transport/packed-write.ts";
import type { StoreClient } from "../transport/store-client.ts";
import type { KeyedTurns } from "./keyed-turns.ts";
import { StoredKeys } from "./keyed-turns.ts";
import { EventLog } from "./event-log.ts";
import type { KeptLog, TranscriptChange } from "./saved-transcript.ts";
import { cloneOf, SavedTranscript } from "./saved-transcript.ts";

/** What the keeper asks of the session it keeps. */
export interface KeptSession {
  readonly id: string;
  readonly agent: SessionAgent;
  /** Number of the last event. */
  readonly lastSeq: number;
}

/** Where sessions are kept, and what of them. */
export interface Keeping {
  readonly store: StoreClient;
  /** Keep events too. */
  readonly logsEvents: boolean;
  /** The store remembers turns by their keys. */
  readonly remembersTurns: boolean;
}

/** What a checkpoint writes, found out when its turn has come. */
type Checkpointed = () => {
  readonly change: TranscriptChange;
  readonly now: Omit<SessionSnapshot, "messageCount">;
  readonly revision: number | undefined;
};

interface WaitingCheckpoint {
  what: Checkpointed;
  hasBegun?: true;
  written: Promise<void>;
}

export class SessionKeeper {
  readonly epoch: number;
  readonly events: EventLog | undefined;
  readonly #store: StoreClient;
  readonly #session: KeptSession;
  readonly #transcript: SavedTranscript;
  #version: number;
  #saved: SessionState;
  /** Of the saved state, packed as the store has it; undefined: not known. */
  #savedRest: Uint8Array | undefined;
  /** How many staged appends the agent has taken, ever. */
  contextTaken: number;
  #writing: Promise<unknown> | undefined;
  /** The last in line, while it has not begun (K3). */
  #waiting: WaitingCheckpoint | undefined;
  /** Of the turn that runs. */
  #ticket: number | undefined;
  readonly #remembersTurns: boolean;
  /** The store had nothing of the session's before. */
  #beganHere = false;

  private constructor(
    { store, logsEvents, remembersTurns }: Keeping,
    session: KeptSession,
    at: { epoch: number; version: number },
    saved: SessionState,
    transcript: SavedTranscript,
  ) {
    this.#store = store;
    this.#remembersTurns = remembersTurns;
    this.#session = session;
    this.epoch = at.epoch;
    this.#version = at.version;
    this.#saved = saved;
    this.#transcript = transcript;
    this.contextTaken = saved.contextTaken;
    if (logsEvents) this.events = new EventLog(() => this.#spill());
  }

  /** Lay a new session down. Rejects with StoreError, or AgentError when the agent's session is not one */
  static async lay(
    keeping: Keeping,
    session: KeptSession,
    what: { agent: string; request: StoredRequest; snapshot: SessionSnapshot; replaces: boolean },
  ): Promise<SessionKeeper> {
    const clone = cloneOf(session.agent);
    const { system, log } = apart(clone.messages);
    const { snapshot } = what;
    const { updatedAt, usage, lastAssistantText: text } = snapshot;
    const { lastSeq } = session;
    const state: SessionState = {
      updatedAt,
      usage,
      lastAssistantText: text,
      system,
      metadata: metadataOf(clone),
      lastSeq,
      contextTaken: 0,
    };
    const laid: NewSession = {
      id: session.id,
      createdAt: snapshot.createdAt,
      labels: what.request.labels ?? {},
      agent: what.agent,
      request: what.request,
      state,
      messages: log,
      ...(what.replaces && { replaces: true }),
    };
    const epoch = await keeping.store.call("create", laid);
    const keeper = new SessionKeeper(
      keeping,
      session,
      { epoch, version: 1 },
      state,
      new SavedTranscript({ system, log }, snapshot.revision),
    );
    keeper.#beganHere = !what.replaces;
    return keeper;
  }

  /** Go on with a session that was opened. @param stored - also its rest, packed. @param revision - of the agent's transcript, now */
  static resume(
    keeping: Keeping,
    session: KeptSession,
    head: SessionHead,
    { log, rest }: { readonly log: KeptLog; readonly rest: Uint8Array },
    revision: number | undefined,
  ): SessionKeeper {
    const resumed = new SessionKeeper(keeping, session, head, head, new SavedTranscript({ system: head.system, log }, revision));
    resumed.#savedRest = new Uint8Array(rest); // held for as long as the session lives
    return resumed;
  }

  /** The session's turns by their keys, as its store remembers them; undefined: it remembers none. */
  keyedTurns(): KeyedTurns | undefined {
    return this.#remembersTurns ? new StoredKeys(this.#store, this.#session.id, this.#beganHere) : undefined;
  }

  /** A turn begins: what is written while it runs is its own. */
  turnBegins(ticket: number): void {
    this.#ticket = ticket;
  }

  /** Save a turn that succeeded, with its events. @param keyed - to be remembered by. Rejects with StoreError or AgentError */
  saveTurn(turn: SavedTurn, snapshot: SessionSnapshot, keyed?: KeyedRequest): Promise<void> {
    return this.#inOrder(() => {
      const change = this.#transcript.changeOf(this.#session.agent, snapshot);
      const state = this.#stateWith(snapshot, change, turn);
      return this.#write(change, state, snapshot.revision, turn.ticket, this.#remembersTurns ? keyed : undefined);
    });
  }

  /**
   * Save what no turn has saved; nothing changed, nothing is written. Rejects as `saveTurn`.
   *
   * @param isEdited - the transcript may have changed without growing: the system message was written to
   */
  saveRest(snapshot: SessionSnapshot, isEdited = false): Promise<void> {
    return this.#inOrder(() => {
      const { system, updatedAt } = this.#saved;
      const isSame = !isEdited && snapshot.updatedAt === updatedAt && snapshot.messageCount === this.#transcript.messageCount;
      const change = isSame
        ? { messages: [], isWhole: false, system }
        : this.#transcript.changeTo(cloneOf(this.#session.agent), snapshot.revision);
      const state = this.#stateWith(snapshot, change);
      return this.#isNew(change, state) ? this.#write(change, state, snapshot.revision, undefined) : Promise.resolve();
    });
  }

  /**
   * Save a session as it stands in the middle of a turn. Written unless it is what was saved last, or checkpoints are cancelled. Rejects
   * as `saveTurn`.
   */
  checkpoint(session: Session, revision: number | undefined): Promise<void> {
    return this.#checkpoint(() => ({
      change: this.#transcript.changeTo(session, revision),
      now: { ...session, lastAssistantText: lastAssistantText(session.messages) },
      revision,
    }));
  }

  /** As `checkpoint`, for the session as its agent has it at its boundary: the cost is that of what was added. */
  checkpointAgent(snapshot: SessionSnapshot): Promise<void> {
    return this.#checkpoint(() => ({
      change: this.#transcript.changeOf(this.#session.agent, snapshot),
      now: snapshot,
      revision: snapshot.revision,
    }));
  }

  /** K3 */
  #checkpoint(what: Checkpointed): Promise<void> {
    const waiting = this.#waiting;
    if (waiting !== undefined) {
      waiting.what = what;
      return waiting.written;
    }
    const checkpoint: WaitingCheckpoint = { what, written: undefined as never };
    checkpoint.written = this.#inOrder(() => this.#writeCheckpoint(checkpoint));
    if (!checkpoint.hasBegun) this.#waiting = checkpoint;
    return checkpoint.written;
  }

  async #writeCheckpoint(checkpoint: WaitingCheckpoint): Promise<void> {
    checkpoint.hasBegun = true;
    if (this.#waiting === checkpoint) this.#waiting = undefined;
    const { change, now, revision } = checkpoint.what();
    const state = this.#stateWith(now, change);
    if (change.messages.length === 0 && !change.isWhole && state.updatedAt === this.#saved.updatedAt) return;
    const write = this.#pack(change, state, undefined);
    const isWritten = await this.#store.call("checkpoint", write, change.isWhole).catch(async (error: unknown) => {
      if (await this.#isStored(state)) return true;
      throw error;
    });
    if (isWritten) this.#wasWritten(change, state, write, revision);
  }

  /** Whether the store has the next version of the session, and it is this one (K2). A store that does not say has not. */
  async #isStored({ updatedAt }: SessionState): Promise<boolean> {
    const head = await this.#store.call("head", this.#session.id).catch(() => null);
    return head !== null && head.epoch === this.epoch && head.version === this.#version + 1 && head.updatedAt === updatedAt;
  }

  /** The session has a new agent. Behind what the one before still saves. Never rejects */
  agentRenewed(): Promise<void> {
    return this.#inOrder(async () => this.#transcript.agentRenewed());
  }

  /** Log the events of a turn that saved nothing. @returns undefined when there is nothing to log; rejects with StoreError */
  saveEvents(): Promise<void> | undefined {
    return this.events === undefined || this.events.isEmpty ? undefined : this.#inOrder(() => this.#logEvents());
  }

  async #spill(): Promise<void> {
    try {
      await this.#inOrder(() => this.#logEvents());
    } catch {
      // They stay where they are, and the turn's own write takes them, or fails like this one and says why.
    }
  }

  async #logEvents(): Promise<void> {
    const events = [...(this.events?.waiting() ?? [])];
    const last = events.at(-1);
    if (last === undefined) return;
    await this.#store.call("logEvents", { id: this.#session.id, epoch: this.epoch, events, ticket: this.#ticket });
    this.events?.acknowledged(last.seq);
  }

  #inOrder<T>(write: () => Promise<T>): Promise<T> {
    this.#waiting = undefined; // what is queued now is behind it
    const before = this.#writing;
    const written = before === undefined ? attempt(write) : before.then(write, write);
    this.#writing = written;
    const forget = (): void => {
      if (this.#writing === written) this.#writing = undefined;
    };
    written.then(forget, forget);
    return written;
  }

  async #write(
    change: TranscriptChange,
    state: SessionState,
    revision: number | undefined,
    ticket: number | undefined,
    keyed?: KeyedRequest,
  ): Promise<void> {
    const write = this.#pack(change, state, ticket, keyed);
    const last = write[14]?.at(-1);
    await this.#store.call(change.isWhole ? "rewrite" : "append", write);
    this.#wasWritten(change, state, write, revision);
    if (last !== undefined) this.events?.acknowledged(last.seq);
  }

  /** @throws StoreError invalid */
  #pack({ messages }: TranscriptChange, state: SessionState, ticket: number | undefined, keyed?: KeyedRequest): PackedWrite {
    const { id } = this.#session;
    const hasEvents = ticket !== undefined && this.events !== undefined && !this.events.isEmpty;
    const events = hasEvents ? [...(this.events?.waiting() ?? [])] : undefined;
    const write: SessionWrite = { id, epoch: this.epoch, version: this.#version, state, messages, ticket, events, keyed };
    const known = this.#savedRest;
    if (known !== undefined && state.system === this.#saved.system && state.metadata === this.#saved.metadata)
      return packWrite(write, known, false);
    const rest = packRest(state);
    return packWrite(write, rest, known === undefined || Buffer.compare(rest, known) !== 0);
  }

  #wasWritten(change: TranscriptChange, state: SessionState, write: PackedWrite, revision: number | undefined): void {
    this.#version++;
    this.#saved = state;
    this.#savedRest = write[12];
    this.#transcript.saved(change, revision);
  }

  /** Member by member, as all that is made for every turn: V8 takes 2 µs for each member that is added to a spread object. */
  #stateWith(
    { updatedAt, usage, lastAssistantText: text }: Omit<SessionSnapshot, "messageCount">,
    { system, metadata }: TranscriptChange,
    lastTurn = this.#saved.lastTurn,
  ): SessionState {
    return {
      updatedAt,
      usage,
      lastAssistantText: text,
      system,
      metadata: metadata ?? this.#saved.metadata,
      lastSeq: this.#session.lastSeq,
      contextTaken: this.contextTaken,
      lastTurn,
    };
  }

  #isNew({ messages, isWhole }: TranscriptChange, state: SessionState): boolean {
    const { updatedAt, lastSeq, contextTaken, system } = this.#saved;
    return (
      isWhole ||
      messages.length > 0 ||
      state.updatedAt !== updatedAt ||
      state.lastSeq !== lastSeq ||
      state.contextTaken !== contextTaken ||
      state.system !== system
    );
  }
}

/** As the call, but what it throws rejects. */
async function attempt<T>(write: () => Promise<T>): Promise<T> {
  return write();
}
