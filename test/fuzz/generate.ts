/** Valid things, made from a seed: what is mutated afterwards. */
import type { AgentEvent } from "../../src/protocol/events.ts";
import type { JsonValue } from "../../src/protocol/json.ts";
import type { Message, Session, Usage } from "../../src/protocol/session-model.ts";
import type {
  KeyedRequest,
  NewSession,
  SavedTurn,
  SessionState,
  SessionWrite,
  StoredContext,
  StoredEvent,
} from "../../src/protocol/stored-session.ts";
import { Random } from "./random.ts";

const WORDS = [
  "",
  "a",
  "turn",
  "hello world",
  "é",
  "中文字",
  "\u{1f600}",
  "\0",
  "line\nline",
  "x".repeat(40),
  "ü".repeat(90),
  "key",
  "tool",
  "0",
] as const;
/** Keys that mean something to an engine that is careless with them. */
export const HOSTILE_KEYS = [
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "hasOwnProperty",
  "__defineGetter__",
  "length",
  "then",
  "toJSON",
] as const;

export const textOf = (random: Random): string =>
  random.oneIn(300) ? random.pick(WORDS).repeat(random.below(100)) : random.pick(WORDS) + random.pick(WORDS);
export const nameOf = (random: Random): string => `n${random.below(1000)}`;
/** Some are small, some as large as counts get, so that every width of a number is met. */
export const countOf = (random: Random): number =>
  random.pick([0, 1, 63, 64, 127, 128, 255, 256, 65_535, 65_536, 2 ** 31, 2 ** 32, 2 ** 40, Number.MAX_SAFE_INTEGER, random.below(1000)]);
const smallCount = (random: Random): number => random.below(300);
export const timeOf = (random: Random): number => random.pick([0, 1, 1_760_000_000_000, 1_760_000_000_000.5, random.below(1e9)]);

export function jsonOf(random: Random, depth = 3): JsonValue {
  switch (random.below(depth > 0 ? 8 : 5)) {
    case 0:
      return null;
    case 1:
      return random.oneIn(2);
    case 2:
      return random.pick([0, 1, -1, 1.5, -(2 ** 31), 2 ** 53, 1e300, random.below(1e6)]);
    case 3:
    case 4:
      return textOf(random);
    case 5:
      return listOf(random, 4, () => jsonOf(random, depth - 1));
    default:
      return recordOf(random, 4, () => jsonOf(random, depth - 1));
  }
}

export const listOf = <T>(random: Random, most: number, member: () => T): T[] => Array.from({ length: random.below(most + 1) }, member);

export function recordOf<T>(random: Random, most: number, member: () => T): Record<string, T> {
  const record: Record<string, T> = {};
  for (let left = random.below(most + 1); left > 0; left--) {
    const key = random.oneIn(12) ? random.pick(HOSTILE_KEYS) : random.oneIn(4) ? textOf(random) : nameOf(random);
    if (key !== "__proto__") record[key] = member();
  }
  return record;
}

const maybe = <K extends string, T>(random: Random, key: K, value: () => T): { [P in K]?: T } =>
  (random.oneIn(3) ? { [key]: value() } : {}) as { [P in K]?: T };

export const usageOf = (random: Random): Usage => ({
  inputTokens: countOf(random),
  outputTokens: countOf(random),
  ...maybe(random, "cacheCreationTokens", () => countOf(random)),
  ...maybe(random, "cacheReadTokens", () => countOf(random)),
});

export function messageOf(random: Random): Message {
  switch (random.below(5)) {
    case 0:
      return { role: "system", content: textOf(random) };
    case 1:
      return { role: "user", content: textOf(random) };
    case 2:
      return {
        role: "assistant",
        content: textOf(random),
        ...maybe(random, "toolCalls", () => listOf(random, 3, () => ({ id: nameOf(random), name: nameOf(random), args: jsonOf(random) }))),
        ...maybe(random, "stopReason", () => "end_turn" as const),
        ...maybe(random, "usage", () => usageOf(random)),
      };
    case 3:
      return {
        role: "block_assistant",
        blocks: listOf(random, 3, () =>
          random.oneIn(2)
            ? { blockType: "text" as const, data: { text: textOf(random), ...maybe(random, "meta", () => jsonOf(random)) } }
            : { blockType: "tool_use" as const, data: { id: nameOf(random), name: nameOf(random), args: jsonOf(random) } },
        ),
      };
    default:
      return {
        role: "tool_results",
        results: listOf(random, 3, () => ({ toolUseId: nameOf(random), content: textOf(random), isError: random.oneIn(2) })),
      };
  }
}
export const messagesOf = (random: Random, most = 5): Message[] => listOf(random, most, () => messageOf(random));

export function eventOf(random: Random): AgentEvent {
  switch (random.below(6)) {
    case 0:
    case 1:
      return { type: "text_delta", delta: textOf(random) };
    case 2:
      return { type: "tool_call_requested", id: nameOf(random), name: nameOf(random), args: jsonOf(random) };
    case 3:
      return { type: "turn_completed", stopReason: "end_turn", usage: usageOf(random) };
    case 4:
      return { type: "budget_warning", budgetType: "tokens", used: 1, limit: 2, percent: 50 };
    default:
      return { type: nameOf(random), member: jsonOf(random) };
  }
}

/** Events whose numbers grow from behind `last` on. */
export function storedEventsOf(random: Random, most = 4, last = smallCount(random)): StoredEvent[] {
  let seq = last;
  let timestampMs = timeOf(random);
  return Array.from({ length: 1 + random.below(most) }, () => ({
    seq: (seq += 1 + random.below(3)),
    timestampMs: (timestampMs += random.below(5)),
    payload: eventOf(random),
  }));
}

export const resultOf = (random: Random) => ({
  text: textOf(random),
  turns: smallCount(random),
  toolCalls: smallCount(random),
  usage: usageOf(random),
  ...maybe(random, "structuredOutput", () => jsonOf(random)),
  ...maybe(random, "schemaWarnings", () => listOf(random, 2, () => jsonOf(random))),
  ...maybe(random, "skillDiagnostics", () => jsonOf(random)),
});

export const stateOf = (random: Random): SessionState => ({
  updatedAt: timeOf(random),
  usage: usageOf(random),
  metadata: recordOf(random, 3, () => jsonOf(random)),
  lastSeq: smallCount(random),
  contextTaken: smallCount(random),
  ...maybe(random, "lastAssistantText", () => textOf(random)),
  ...maybe(random, "system", () => textOf(random)),
  ...maybe(random, "lastTurn", () => lastTurnOf(random)),
});

export const lastTurnOf = (random: Random): SavedTurn => ({
  ticket: 1 + smallCount(random),
  result: resultOf(random),
  ...maybe(random, "key", () => nameOf(random)),
});

export const writeOf = (random: Random): SessionWrite => ({
  id: nameOf(random),
  epoch: smallCount(random),
  version: smallCount(random),
  state: stateOf(random),
  messages: messagesOf(random),
  ...maybe(random, "ticket", () => 1 + smallCount(random)),
  ...maybe(random, "events", () => storedEventsOf(random)),
  ...maybe(random, "keyed", () => keyedOf(random)),
});

const keyedOf = (random: Random): KeyedRequest => ({ key: nameOf(random), fingerprint: nameOf(random), at: timeOf(random) });

export const labelsOf = (random: Random): Record<string, string> => recordOf(random, 3, () => textOf(random));

export const createRequestOf = (random: Random): Record<string, unknown> => ({
  prompt: textOf(random),
  ...maybe(random, "agent", () => nameOf(random)),
  ...maybe(random, "model", () => textOf(random)),
  ...maybe(random, "systemPrompt", () => textOf(random)),
  ...maybe(random, "maxTokens", () => 1 + smallCount(random)),
  ...maybe(random, "initialTurn", () => "defer"),
  ...maybe(random, "hostMode", () => random.oneIn(2)),
  ...maybe(random, "labels", () => ({ [nameOf(random)]: textOf(random) })),
  ...maybe(random, "skillReferences", () => [{ sourceUuid: nameOf(random), skillName: "a-b" }]),
  ...maybe(random, "isolation", () => random.pick(["shared", "dedicated"])),
  ...maybe(random, "build", () => recordOf(random, 3, () => jsonOf(random))),
});

export const newSessionOf = (random: Random): NewSession =>
  ({
    id: nameOf(random),
    createdAt: timeOf(random),
    labels: labelsOf(random),
    agent: nameOf(random),
    request: createRequestOf(random),
    state: stateOf(random),
    messages: messagesOf(random),
  }) as unknown as NewSession;

const appendOf = (random: Random) => ({
  text: textOf(random),
  ...maybe(random, "source", () => nameOf(random)),
  ...maybe(random, "idempotencyKey", () => nameOf(random)),
  ...maybe(random, "acceptedAt", () => timeOf(random)),
});
export const appendsOf = (random: Random): object[] => listOf(random, 3, () => appendOf(random));

export function contextOf(random: Random): StoredContext {
  const pending = appendsOf(random);
  return {
    staged: pending.length + smallCount(random),
    pending: pending as StoredContext["pending"],
    seen: recordOf(random, 3, () => ({
      text: textOf(random),
      state: random.pick(["pending", "applied"] as const),
      ...maybe(random, "source", () => nameOf(random)),
    })),
  };
}

export const sessionOf = (random: Random): Session => ({
  version: 1,
  id: nameOf(random),
  messages: messagesOf(random),
  createdAt: timeOf(random),
  updatedAt: timeOf(random),
  metadata: recordOf(random, 3, () => jsonOf(random)),
  usage: usageOf(random),
});

export const wireErrorOf = (random: Random): object => ({
  code: random.pick(["AGENT_ERROR", "SESSION_NOT_FOUND", "SESSION_STORE_ERROR"]),
  message: textOf(random),
  ...maybe(random, "agentError", () => ({
    kind: random.pick(["internal_error", "cancelled", "lane_lost", nameOf(random)]),
    message: textOf(random),
  })),
  ...maybe(random, "details", () => recordOf(random, 2, () => jsonOf(random))),
});

/** Valid things to start from, the same in every run, so that a case does not spend its time on making them. */
export function samplesOf<T>(count: number, make: (random: Random) => T): readonly T[] {
  const random = new Random(count);
  return Array.from({ length: count }, () => make(random));
}
