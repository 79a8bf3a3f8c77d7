/**
 * A lane at work: hands each command of main to its session, and looks at the doorbell in between (W1–W3: frame-loop.ts).
 *
 * Owns the sessions of this lane and its heartbeat. It knows nothing of threads: the thread entry and the tests give it a transport.
 *
 *   W4. A lane in which an agent has changed what could not be made fast ends, before the next frame or at the next heartbeat.
 */
import type { LaneWords } from "../core/lane-words.ts";
import type { SlotTable } from "../core/slot-table.ts";
import { ticketWord } from "../core/tickets.ts";
import type { SessionAgentBuilder } from "../protocol/agent.ts";
import { agentFailure, notFound, toWire } from "../protocol/errors.ts";
import { isInstance } from "../protocol/foreign.ts";
import type { AgentSnapshotCommand, ForgetCommand, HibernateCommand, LaneCommand, LaneReport } from "../protocol/frames.ts";
import { COMMANDS, REPORTS } from "../protocol/frames.ts";
import { StoreError } from "../protocol/store-error.ts";
import { Outbox } from "../transport/outbox.ts";
import type { FrameTransport } from "../transport/transport.ts";
import { within } from "../transport/within.ts";
import { buildFailure, describeError, saveFailure } from "./agent-errors.ts";
import { agentSnapshot } from "./agent-snapshot.ts";
import { Attribution } from "./attribution.ts";
import type { BuildOutcome } from "./build-session.ts";
import { createSession, moveSession, openSession } from "./build-session.ts";
import type { BuiltinsGuard } from "./fixed-builtins.ts";
import { Deadlines } from "./deadlines.ts";
import { FrameLoop } from "./frame-loop.ts";
import { RememberedTurns } from "./keyed-turns.ts";
import { laneMemory } from "./lane-memory.ts";
import type { Interruptible, LaneContext } from "./lane-context.ts";
import type { ActorCommand, SessionActor } from "./session-actor.ts";
import type { Keeping } from "./session-keeper.ts";
import { Strays } from "./strays.ts";

/** Milliseconds between heartbeats; each is also a look at the doorbell. */
const HEARTBEAT_MS = 100;
/** Heartbeats from one look at the memory to the next. */
const MEMORY_BEATS = 5;
/** Milliseconds the agents' dispose may take when the lane ends. */
const DISPOSE_MAX_MS = 1000;

export interface LaneSeat {
  readonly transport: FrameTransport;
  readonly table: SlotTable;
  readonly words: LaneWords;
  readonly agents: ReadonlyMap<string, SessionAgentBuilder>;
  readonly interruptGraceMs: number;
  readonly buildTimeoutMs: number;
  /** Of the thread; undefined: nothing was made fast. */
  readonly guard?: BuiltinsGuard | undefined;
  /** Leave everything as it is: main settles what the lane owes. */
  readonly endThread?: (() => void) | undefined;
  /** Where sessions are kept; undefined: nowhere. */
  readonly keeping?: Keeping | undefined;
}

export class Lane {
  readonly #seat: LaneSeat;
  readonly #context: LaneContext;
  /** By slot; most slots are another lane's. */
  #sessions: (SessionActor | undefined)[] = [];
  readonly #heartbeat: NodeJS.Timeout;
  readonly #disposals = new Set<Promise<void>>();
  readonly #strays: Strays;
  #ringsSeen = 0;
  #beats = 0;

  constructor(seat: LaneSeat) {
    this.#seat = seat;
    const outbox = new Outbox<LaneReport>((frame, records) => seat.transport.send(frame, records), insteadOf);
    this.#strays = new Strays(outbox);
    this.#context = {
      table: seat.table,
      words: seat.words,
      attribution: new Attribution(seat.words),
      outbox,
      agents: seat.agents,
      keeping: seat.keeping,
      remembered: new RememberedTurns(),
      running: new Set<Interruptible>(),
      interruptGraceMs: seat.interruptGraceMs,
      builds: new Deadlines(seat.buildTimeoutMs, () => performance.now()),
      now: Date.now,
      reportStray: (thrown) => this.reportStray(thrown),
    };
    seat.transport.onShare((segment) => seat.table.addSegment(segment));
    const loop = new FrameLoop({
      words: seat.words,
      outbox,
      onSlice: () => {
        if (seat.guard?.isSound() === false) this.#checkBuiltins();
      },
      lookAtDoorbell: () => this.#lookAtDoorbell(),
      dispatch: (command) => this.#dispatch(command),
      onUnreadable: (error) => this.reportStray(error),
    });
    seat.transport.onFrame((frame) => loop.take(frame));
    this.#heartbeat = setInterval(() => this.#beat(), HEARTBEAT_MS);
    this.#beat();
  }

  /** An error that nobody awaits. */
  reportStray(thrown: unknown): void {
    this.#strays.report(thrown);
  }

  get strayErrors(): number {
    return this.#strays.count;
  }

  /** Promises are marked with the session that makes them. */
  get isMarking(): boolean {
    return this.#context.attribution.isOn;
  }

  /** The session in a slot, if this lane holds that very one. */
  session(slot: number, generation: number): SessionActor | undefined {
    const actor = this.#sessions[slot];
    return actor?.generation === generation ? actor : undefined;
  }

  /** End the lane: agents are disposed (waiting at most DISPOSE_MAX_MS), what is reported is sent, the transport closes. */
  async close(): Promise<void> {
    clearInterval(this.#heartbeat);
    this.#context.attribution.close();
    for (const actor of this.#sessions) if (actor !== undefined) this.#dispose(actor);
    this.#sessions = [];
    await within(Promise.all(this.#disposals), DISPOSE_MAX_MS);
    this.#strays.beat();
    this.#context.outbox.close();
    this.#seat.transport.close();
  }

  #beat(): void {
    this.#checkBuiltins();
    this.#seat.words.beat(Date.now());
    this.#lookAtDoorbell();
    this.#context.builds.look();
    this.#context.attribution.look();
    if (this.#beats++ % MEMORY_BEATS === 0) this.#seat.words.setMemory(laneMemory());
    this.#strays.beat();
  }

  /** W4 */
  #checkBuiltins(): void {
    const changed = this.#seat.guard?.changed();
    if (changed === undefined) return;
    this.reportStray(`an agent changed ${changed}, which all agents of its lane share: the lane ends`);
    this.#context.outbox.flush();
    this.#seat.endThread?.();
  }

  #lookAtDoorbell(): void {
    const rings = this.#seat.words.rings();
    if (rings === this.#ringsSeen) return;
    this.#ringsSeen = rings;
    for (const run of this.#context.running) run.noticeInterrupt();
  }

  #dispatch(command: LaneCommand): void {
    try {
      this.#execute(command);
    } catch (error) {
      this.#context.words.setRunning(undefined);
      this.reportStray(error);
    }
  }

  #execute(command: LaneCommand): void {
    switch (command[0]) {
      case COMMANDS.CREATE.op:
        void this.#build(
          command,
          createSession(this.#context, command, (actor) => this.#leave(actor)),
        );
        return;
      case COMMANDS.OPEN.op:
        void this.#build(
          command,
          openSession(this.#context, command, (actor) => this.#leave(actor)),
        );
        return;
      case COMMANDS.MOVE_IN.op:
        void this.#build(
          command,
          moveSession(this.#context, command, (actor) => this.#leave(actor)),
        );
        return;
      case COMMANDS.FORK.op:
      case COMMANDS.MOVE_OUT.op:
      case COMMANDS.TURN.op:
      case COMMANDS.EXPORT.op:
      case COMMANDS.HISTORY.op:
      case COMMANDS.APPLY_CONTEXT.op:
        this.#deliver(command);
        return;
      case COMMANDS.STAGE_CONTEXT.op:
        this.session(command[1], command[2])?.tenure.feedContext(command[3]);
        return;
      case COMMANDS.CREDIT.op:
        this.#currentRun(command)?.credit(command[4]);
        return;
      case COMMANDS.DETACH.op:
        this.#currentRun(command)?.detach();
        return;
      case COMMANDS.WAKE.op:
        return; // its arrival made the loop look at the doorbell
      case COMMANDS.FORGET.op:
        this.#forget(command);
        return;
      case COMMANDS.HIBERNATE.op:
        this.#hibernate(command);
        return;
      case COMMANDS.AGENT_SNAPSHOT.op:
        void this.#tellSnapshot(command);
        return;
      case COMMANDS.COMMS_SEAT.op:
        this.session(command[1], command[2])?.comms?.seated(command[3]);
        return;
      case COMMANDS.COMMS_REPLY.op:
        this.session(command[1], command[2])?.comms?.replied(command[3], command[4], command[5]);
        return;
      case COMMANDS.PEER_DELIVER.op:
        this.session(command[1], command[2])?.comms?.deliver(command[3], command[4]);
        return;
      case COMMANDS.EVENT_TAIL.op: {
        const tail = this.session(command[1], command[2])?.eventTail(command[4]);
        if (tail === undefined) this.#notHere(command[3]);
        else this.#context.outbox.appendSized([REPORTS.REPLY.op, command[3], tail]);
        return;
      }
      default:
        command satisfies never;
    }
  }

  async #tellSnapshot([, slot, generation, request, which]: AgentSnapshotCommand): Promise<void> {
    const { outbox } = this.#context;
    const actor = this.session(slot, generation);
    if (actor === undefined) {
      this.#notHere(request);
      return;
    }
    try {
      outbox.appendSized([REPORTS.REPLY.op, request, await agentSnapshot(actor, which)]);
    } catch (error) {
      outbox.append([REPORTS.REPLY_ERROR.op, request, buildFailure(error)]);
    }
  }

  async #build([, slot, generation]: readonly [number, number, number, ...unknown[]], building: Promise<BuildOutcome>): Promise<void> {
    const built = await building.catch((error: unknown): BuildOutcome => ({ ok: false, error: buildFailure(error) }));
    if (!built.ok) {
      this.#context.outbox.append([REPORTS.BUILD_FAILED.op, slot, generation, built.error]);
      return;
    }
    this.#sessions[slot] = built.actor;
    this.#context.outbox.append(built.report, built.report[6]?.length ?? 0, true);
    built.actor.comms?.begin();
  }

  #deliver(command: ActorCommand): void {
    const actor = this.session(command[1], command[2]);
    if (actor !== undefined) {
      const { words } = this.#context;
      words.setRunning(actor.slot);
      actor.receive(command);
      words.setRunning(undefined);
      return;
    }
    // Main sends to live sessions only, so this is the race with a session that broke down; its caller must not wait.
    if (command[0] === COMMANDS.TURN.op) {
      const error = toWire(notFound(`slot ${command[1]}`));
      this.#context.outbox.append([REPORTS.FAILED.op, command[1], command[2], ticketWord(command[3]), error, undefined, true]);
    } else this.#notHere(command[3]);
  }

  #notHere(request: number): void {
    this.#context.outbox.append([REPORTS.REPLY_ERROR.op, request, toWire(notFound("it has left its lane"))]);
  }

  #currentRun(command: readonly [number, number, number, number, ...unknown[]]): SessionActor["currentRun"] {
    const run = this.session(command[1], command[2])?.currentRun;
    return run?.word === command[3] ? run : undefined;
  }

  /** Behind everything queued for the session: a running turn and its mailbox come first. */
  #forget(command: ForgetCommand): void {
    const actor = this.session(command[1], command[2]);
    actor?.whenIdle(() => this.#leave(actor));
  }

  /**
   * As `#forget`, when what is not saved has been. A session that cannot be saved leaves all the same: the store has the truth. If it may
   * stay, and only its agent failed, so that nothing was written, it stays.
   */
  #hibernate([, slot, generation, request, mayStay = false]: HibernateCommand): void {
    const actor = this.session(slot, generation);
    if (actor === undefined) {
      this.#notHere(request);
      return;
    }
    actor.whenIdle(() => {
      const { outbox } = this.#context;
      actor.saveRest().then(
        () => {
          outbox.append([REPORTS.REPLY.op, request, null]);
          this.#leave(actor);
        },
        (error: unknown) => {
          if (mayStay && !isInstance(error, StoreError)) {
            outbox.append([REPORTS.REPLY.op, request, false]);
            return;
          }
          outbox.append([REPORTS.REPLY_ERROR.op, request, saveFailure(error)]);
          this.#leave(actor);
        },
      );
    });
  }

  /** The session is no longer this lane's; a second time does nothing. */
  #leave(actor: SessionActor): void {
    const { slot, generation } = actor;
    if (this.session(slot, generation) !== actor) return;
    this.#sessions[slot] = undefined;
    this.#dispose(actor);
    this.#context.outbox.append([REPORTS.FORGOTTEN.op, slot, generation], 0, true);
  }

  #dispose(actor: SessionActor): void {
    const disposal = actor.dispose().finally(() => this.#disposals.delete(disposal));
    this.#disposals.add(disposal);
  }
}

/** What to say in place of a report that cannot be encoded: its turn or request fails, nothing else does. */
function insteadOf(report: LaneReport, error: unknown): LaneReport | undefined {
  const failure = toWire(agentFailure("invalid_result", `what the agent gave cannot be sent: ${describeError(error)}`));
  if (report[0] === REPORTS.RESULT.op) return [REPORTS.FAILED.op, report[1], report[2], report[3], failure];
  if (report[0] === REPORTS.REPLY.op) return [REPORTS.REPLY_ERROR.op, report[1], failure];
  return undefined;
}
