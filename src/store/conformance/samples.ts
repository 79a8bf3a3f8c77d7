/** Sessions, turns and events that the checks store, each made anew, so that a check may change what it gave away. */
import type { Message } from "../../protocol/session-model.ts";
import type { AcceptedInput } from "../../protocol/stored-runtime.ts";
import type {
  KeyedRequest,
  KeyedTurn,
  NewSession,
  SavedTurn,
  SessionState,
  SessionWrite,
  StoredEvent,
} from "../../protocol/stored-session.ts";

export const CREATED_AT = 1_700_000_000_000;

/** State after turn `turn`; every member differs from turn to turn. */
export function stateOf(turn: number, more: Partial<SessionState> = {}): SessionState {
  const usage = { inputTokens: 10 * turn, outputTokens: turn, ...(turn % 2 === 0 && { cacheReadTokens: turn }) };
  const result = { text: `answer ${turn}`, turns: 1, toolCalls: 0, usage };
  return {
    updatedAt: CREATED_AT + turn,
    usage,
    lastAssistantText: `answer ${turn}`,
    metadata: { turn, nested: { list: [turn, null, "x"], yes: true } },
    lastSeq: turn * 3,
    contextTaken: turn,
    lastTurn: { ticket: turn + 1, result },
    ...more,
  };
}

/** Messages of turn `turn`, two of them, of every kind in turn. */
export function messagesOf(turn: number): Message[] {
  const asked: Message = { role: "user", content: `question ${turn} – ünïcode \u{1f407}` };
  switch (turn % 3) {
    case 0:
      return [asked, { role: "assistant", content: `answer ${turn}`, stopReason: "end_turn", usage: { inputTokens: 1, outputTokens: 2 } }];
    case 1:
      return [
        { role: "assistant", content: "", toolCalls: [{ id: `call-${turn}`, name: "look", args: { deep: [{ turn }] } }] },
        { role: "tool_results", results: [{ toolUseId: `call-${turn}`, content: "seen", isError: false }] },
      ];
    default:
      return [asked, { role: "block_assistant", blocks: [{ blockType: "text", data: { text: `answer ${turn}`, meta: { turn } } }] }];
  }
}

/** The log after turns 0 to `turn`. */
export function logUpTo(turn: number): Message[] {
  return Array.from({ length: turn + 1 }, (_, n) => messagesOf(n)).flat();
}

/** A session with its first turn, number 0. */
export function newSession(id: string, more: Partial<NewSession> = {}): NewSession {
  const request = { prompt: "", model: "m", build: { option: [1, { two: 2 }] } };
  return {
    id,
    createdAt: CREATED_AT,
    labels: { team: "red" },
    agent: "agent",
    request,
    state: stateOf(0),
    messages: messagesOf(0),
    ...more,
  };
}

/** The write of turn `turn` of a session whose turns were all appended under one epoch: its version is the turn's number. */
export function turnOf(id: string, turn: number, more: Partial<SessionWrite> = {}): SessionWrite {
  return { id, epoch: 1, version: turn, state: stateOf(turn), messages: messagesOf(turn), ...more };
}

/** What the request of turn `turn` is known by. */
export const keyedOf = (turn: number): KeyedRequest => ({ key: `key ${turn}`, fingerprint: `asks for ${turn}`, at: CREATED_AT + turn });

/** Turn `turn` as it is remembered. */
export function keyedTurnOf(turn: number): KeyedTurn {
  const { ticket, result } = stateOf(turn).lastTurn as SavedTurn;
  return { ...keyedOf(turn), ticket, result };
}

/** Events number `from` to `to`. */
export function eventsOf(from: number, to: number): StoredEvent[] {
  return Array.from({ length: to - from + 1 }, (_, n) => {
    const seq = from + n;
    const payload = seq % 4 === 0 ? { type: "turn_started", turnNumber: seq, extra: { seq } } : { type: "text_delta", delta: `d${seq}` };
    return { seq, timestampMs: CREATED_AT + seq, payload };
  });
}

/** An input of a runtime. */
export function inputOf(number: number): AcceptedInput {
  return {
    inputId: `input ${number}`,
    runId: `run ${number}`,
    boundary: number % 2 === 0 ? "immediate" : "run_start",
    request: {
      prompt: `do ${number}`,
      executionKind: "content_turn",
      idempotencyKey: `input ${number}`,
      flowToolOverlay: { allowedTools: ["look"] },
    },
  };
}
