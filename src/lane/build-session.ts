/** Makes sessions live in their lane: new ones from a create request, stored ones from the store, others as another lane packed them. What fails leaves nothing behind in the lane. */
import type { UnreadMessages, UnreadSession } from "../core/unread-messages.ts";
import type { Session, SessionSnapshot } from "../protocol/session-model.ts";
import { Session as SessionSchema } from "../protocol/session-model.ts";
import type { WireError } from "../protocol/errors.ts";
import { agentFailure, toWire } from "../protocol/errors.ts";
import { isInstance } from "../protocol/foreign.ts";
import type { BuiltReport, CreateCommand, KeptReport, MoveInCommand, OpenCommand } from "../protocol/frames.ts";
import { REPORTS } from "../protocol/frames.ts";
import type { MovedSession } from "../protocol/moved-session.ts";
import { LIST_MAX } from "../protocol/list.ts";
import { ordinarySession } from "../protocol/shortcuts.ts";
import { accessFailure } from "../protocol/store-error.ts";
import type { SessionHead } from "../protocol/stored-session.ts";
import { sessionOf } from "../protocol/stored-session.ts";
import { StoreError } from "../protocol/store-error.ts";
import { decodeValue } from "../transport/codec.ts";
import { unpackSession } from "../transport/packed-session.ts";
import { unpackMessages } from "../transport/packed-write.ts";
import { StoredLog } from "../transport/stored-log.ts";
import { AgentError, buildFailure } from "./agent-errors.ts";
import { handleBitsOf } from "./build-agent.ts";
import type { LaneContext } from "./lane-context.ts";
import { SessionActor } from "./session-actor.ts";
import type { Keeping } from "./session-keeper.ts";
import type { KeptLog } from "./saved-transcript.ts";
import { SessionKeeper } from "./session-keeper.ts";

const NONE: readonly never[] = Object.freeze([]);

export type BuildOutcome = { ok: true; actor: SessionActor; report: BuiltReport } | { ok: false; error: WireError };
type OnBroken = (actor: SessionActor) => void;

/** Build the session a CREATE asks for, and lay it down in the store, if there is one. */
export async function createSession(lane: LaneContext, command: CreateCommand, onBroken: OnBroken): Promise<BuildOutcome> {
  const [, slot, generation, id, agentName, request, isFixed] = command;
  const builder = lane.agents.get(agentName);
  if (builder === undefined) return failed(agentFailure("internal_error", `no agent named ${agentName} in this lane`));
  const { resumeSession, ...build } = request.build ?? {};
  /** It goes on under its id, in the place of what is stored; a fork only begins with what another session is. */
  const replaces = resumeSession !== undefined && isFixed !== true;
  let lastSeq: number;
  try {
    lastSeq = replaces && lane.keeping !== undefined ? await storedSeq(lane.keeping, id) : 0;
  } catch (error) {
    return failed(accessFailure(error as StoreError, id));
  }
  const actor = new SessionActor(lane, { slot, generation, id, agentName, builder, request, lastSeq, pending: NONE }, onBroken);
  return settle(actor, async () => {
    await actor.tenure.adopt(resumeSession === undefined ? undefined : SessionSchema.parse(resumeSession), id);
    if (isFixed === true || (replaces && lane.keeping !== undefined)) checkId(actor, id);
    else actor.id = idOf(actor);
    // Kept for a rebuild and for a wake-up, without what only the first build and turn needed.
    const kept = { ...request, prompt: "", ...(request.build && { build }) };
    actor.tenure.begin(kept);
    const { keeping } = lane;
    const snapshot = snapshotOf(actor);
    if (keeping === undefined) return { snapshot };
    actor.keeper = await SessionKeeper.lay(keeping, actor, { agent: agentName, request: kept, snapshot, replaces });
    return { snapshot, kept: { epoch: actor.keeper.epoch } };
  });
}

/** Make the stored session an OPEN names live. */
export async function openSession(lane: LaneContext, command: OpenCommand, onBroken: OnBroken): Promise<BuildOutcome> {
  const [, slot, generation, id, context, minSeq] = command;
  const { keeping } = lane;
  if (keeping === undefined) return failed(agentFailure("internal_error", "this lane has no store"));
  let opened: Resumed & { head: SessionHead; rest: Uint8Array; loggedSeq: number };
  try {
    const { head, rest, log: packed } = unpackSession(id, await keeping.store.call("open", id));
    const loggedSeq = await lastLogged(keeping, id); // only now: the opening fenced off whoever could still add some
    opened = { head, rest, loggedSeq, ...(unread(head, packed) ?? (await readAtOnce(keeping, head, packed))) };
  } catch (error) {
    return failed(accessFailure(error instanceof StoreError ? error : unreadable(id, error), id));
  }
  const { head, rest, resume, log, loggedSeq } = opened;
  const builder = lane.agents.get(head.agent);
  if (builder === undefined)
    return failed(agentFailure("internal_error", `this host has no agent named ${head.agent}, which session ${id} needs`));
  // Main staged `context.staged` appends in all. The agent took the first `contextTaken` of them, or more: what it took in a turn that was
  // not saved main no longer has.
  const goneBefore = context === undefined ? 0 : context.staged - context.pending.length;
  const contextTaken = Math.max(head.contextTaken, goneBefore);
  const pending = context === undefined ? [] : context.pending.slice(contextTaken - goneBefore);
  const lastSeq = Math.max(head.lastSeq, loggedSeq, minSeq);
  const actor = new SessionActor(
    lane,
    { slot, generation, id, agentName: head.agent, builder, request: head.request, lastSeq, pending },
    onBroken,
  );
  return settle(actor, async () => {
    await actor.tenure.adopt(resume, id);
    checkId(actor, id);
    actor.tenure.begin(head.request);
    const snapshot = snapshotOf(actor);
    const { key, result } = head.lastTurn ?? {};
    if (key !== undefined && result !== undefined) actor.lastTurn = { key, fingerprint: undefined, result };
    actor.keeper = SessionKeeper.resume(keeping, actor, { ...head, contextTaken }, { log, rest }, snapshot.revision);
    const comms = actor.comms?.ask;
    return { snapshot, kept: { epoch: head.epoch, ...(comms && { comms }) } };
  });
}

/** A session as its agent goes on from it, and what the store has of its log. */
interface Resumed {
  readonly resume: Session | UnreadSession;
  readonly log: KeptLog;
}

/** @returns undefined for a session that is not ordinary all through */
function unread(head: SessionHead, packed: Uint8Array): Resumed | undefined {
  const log = StoredLog.of(packed);
  if (log?.length !== head.logLength) return undefined;
  const begun = ordinarySession(sessionOf(head, []));
  if (begun === undefined || log.length + begun.messages.length > LIST_MAX) return undefined;
  const { version, id: named, messages, createdAt, updatedAt, metadata, usage } = begun;
  const all: UnreadMessages = messages.length === 0 ? log : log.behind(messages);
  return { resume: { version, id: named, unread: all, createdAt, updatedAt, metadata, usage }, log };
}

/** Rejects with StoreError naming the row that is none, or what the schema says */
async function readAtOnce(keeping: Keeping, head: SessionHead, packed: Uint8Array): Promise<Resumed> {
  const log = await messagesOf(keeping, head, packed);
  const session = sessionOf(head, log);
  return { resume: ordinarySession(session) ?? SessionSchema.parse(session), log };
}

/** The log, as long as the head says. Rejects with StoreError naming the row that is not one */
async function messagesOf({ store }: Keeping, { id, logLength }: SessionHead, packed: Uint8Array): Promise<Session["messages"]> {
  try {
    const messages = unpackMessages(packed) as Session["messages"];
    if (messages.length === logLength) return messages;
  } catch {
    // Then row by row.
  }
  const messages = (await store.call("messages", id, 0, undefined)) ?? []; // it looks at each row
  if (messages.length === logLength) return messages;
  throw new StoreError("corrupt", `session ${id} has ${logLength} messages, its log ${messages.length}`, { session: id, row: "log" });
}

/** Number of the last event of a session that is stored, 0 when it has none. Rejects with StoreError */
async function storedSeq(keeping: Keeping, id: string): Promise<number> {
  const [head, logged] = await Promise.all([keeping.store.call("head", id), lastLogged(keeping, id)]);
  return Math.max(head?.lastSeq ?? 0, logged);
}

/** Number of the last event in the log: a turn that failed may have put some there that the head does not know of. */
async function lastLogged({ store, logsEvents }: Keeping, id: string): Promise<number> {
  return logsEvents ? ((await store.call("lastEvent", id, undefined))?.seq ?? 0) : 0;
}

/** Build the session that another lane has packed. */
export async function moveSession(lane: LaneContext, command: MoveInCommand, onBroken: OnBroken): Promise<BuildOutcome> {
  const [, slot, generation, id, packed, pending] = command;
  const { agent, request, session, lastSeq, lastTurn, keyedTurns, held } = decodeValue(packed) as MovedSession;
  const builder = lane.agents.get(agent);
  if (builder === undefined) return failed(agentFailure("internal_error", `no agent named ${agent} in this lane`));
  const actor = new SessionActor(lane, { slot, generation, id, agentName: agent, builder, request, lastSeq, pending }, onBroken);
  actor.lastTurn = lastTurn;
  for (const turn of keyedTurns) actor.keyed?.add(turn);
  return settle(actor, async () => {
    for (const event of held) void actor.emitOutside(event); // ahead of what the builder emits
    await actor.tenure.adopt(SessionSchema.parse(session), id);
    checkId(actor, id);
    actor.tenure.begin(request);
    return { snapshot: snapshotOf(actor) };
  });
}

/** A session that is built: nothing is asked of its agent any more, whose failure would come too late. */
interface Built {
  readonly snapshot: SessionSnapshot;
  /** Of a session that is kept. */
  readonly kept?: KeptReport;
}

/** @throws AgentError */
function snapshotOf(actor: SessionActor): SessionSnapshot {
  const taken = actor.takeSnapshot();
  if (taken.ok) return taken.snapshot;
  throw new AgentError("internal_error", taken.error.agentError?.message ?? taken.error.message);
}

/** Run the steps that make `actor` a session; whatever fails disposes what was built. */
async function settle(actor: SessionActor, build: () => Promise<Built>): Promise<BuildOutcome> {
  let isBuilt = false;
  try {
    const { snapshot, kept } = await build();
    actor.publish(snapshot);
    isBuilt = true;
    const { slot, generation, id } = actor;
    const { createdAt, lastAssistantText } = snapshot;
    const report: BuiltReport = [REPORTS.BUILT.op, slot, generation, id, createdAt, handleBitsOf(actor.tenure.handles), lastAssistantText];
    if (kept !== undefined) report.push(kept);
    return { ok: true, actor, report };
  } catch (error) {
    return isInstance(error, StoreError) ? failed(accessFailure(error, actor.id)) : { ok: false, error: buildFailure(error) };
  } finally {
    if (!isBuilt) void actor.dispose();
  }
}

function idOf({ agent }: SessionActor): string {
  const id: unknown = agent.sessionId();
  if (typeof id === "string" && id !== "" && id.length <= 256) return id;
  throw new AgentError("internal_error", "sessionId() must give a string of 1 to 256 characters");
}

/** @throws AgentError when the agent of a stored session takes itself for another one */
function checkId(actor: SessionActor, id: string): void {
  const said = idOf(actor);
  if (said !== id) throw new AgentError("internal_error", `the agent of session ${id} says that it is session ${said}`);
}

function failed(error: Parameters<typeof toWire>[0]): BuildOutcome {
  return { ok: false, error: toWire(error) };
}

function unreadable(id: string, error: unknown): StoreError {
  return new StoreError("corrupt", `session ${id} is not stored as one: ${error instanceof Error ? error.message : String(error)}`, {
    session: id,
  });
}
