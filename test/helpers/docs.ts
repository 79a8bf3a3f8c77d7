/**
 * Renders the documents that are generated from the source: errors, settings, state machines, shared memory. `vitest run -u` writes them,
 * test/unit/docs-in-sync.test.ts checks them.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { LANE_TRANSITIONS, MACHINES, RUNTIME_TRANSITIONS, SESSION_TRANSITIONS, TURN_TRANSITIONS } from "../../src/core/machines.ts";
import { SETTING_NAMES, envName, flagUsage, settingOf } from "../../src/cli/serve-settings.ts";
import * as layout from "../../src/core/slot-layout.ts";
import type { Disposition } from "../../src/protocol/errors.ts";
import { AGENT_ERROR_KINDS, ERRORS } from "../../src/protocol/errors.ts";
import { HOST_EVENTS } from "../../src/protocol/host-events.ts";
import { STORE_REASONS } from "../../src/protocol/store-error.ts";
import { METRICS } from "../../src/server/metric-table.ts";

const generatedFrom = (source: string): string => `<!-- Generated from ${source}: do not edit here. To update: npm run docs -->`;

const sourceOf = (path: string): string => readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), "utf8");

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

const code = (text: string): string => `\`${text}\``;
const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

// ── errors ──

type ErrorTable = Readonly<Record<string, { readonly disposition: Disposition; readonly summary: string }>>;

const errorRows = (errors: ErrorTable): string[][] =>
  Object.entries(errors).map(([name, { disposition, summary }]) => [
    code(name),
    name === "AGENT_ERROR" ? "by kind" : disposition,
    sentence(summary),
  ]);

/** @returns docs/errors.md */
export function renderErrors(): string {
  return `${generatedFrom("src/protocol/errors.ts")}

# Errors

Every operation fails with a \`SessionError\`. Four members say what happened, and they are what a program should test:

- \`code\` says which of the cases below it is. It is stable; the message is for people and may change.
- \`disposition\` says what a caller may do next: \`retry\` (later, or after what the code names has ended), \`give-up\` (the same call will fail
  again), \`bug\` (something is wrong with the program or the agent: report it, do not retry). With \`retry\`, \`details.retryAfterMs\` may say
  when.
- \`agentError\` is there for \`AGENT_ERROR\` only: \`kind\` tells the cases apart, \`message\` is the agent's own, \`details\` is what the agent
  said beyond it.
- \`details\` holds what is known beyond the code, as plain data: \`details.field\` names the wrong argument of \`INVALID_PARAMS\`,
  \`details.reason\` says which limit was met or who asked for an interrupt.

\`sessionId\` is there when the error is about one session. Compare \`code\`, do not use \`instanceof\`: a program may hold two copies of the library.

\`\`\`ts
import type { SessionError } from "warren";

try {
  await service.startTurn(id, { prompt });
} catch (error) {
  const { code, agentError, disposition, details } = error as SessionError;
  if (code === "AGENT_ERROR" && agentError?.kind === "cancelled") console.log("somebody interrupted the turn");
  else if (disposition === "retry") retryLater(details?.retryAfterMs);
  else throw error;
}
\`\`\`

## Codes

${table(["code", "disposition", "meaning"], errorRows(ERRORS))}

## Kinds of \`AGENT_ERROR\`

These are the kinds Warren makes itself. An agent may throw an \`AgentError\` with a kind and details of its own (\`llm\`, \`budget\`, …); such
a kind counts as \`give-up\`.

${table(["kind", "disposition", "meaning"], errorRows(AGENT_ERROR_KINDS))}

## Reasons of \`SESSION_STORE_ERROR\`

\`details.reason\` says what was wrong, the other details say where: \`path\`, \`session\`, \`row\`, \`pid\`, whatever applies. A store refuses what does not fit
what is stored (a refusal), or fails; the call has changed nothing then. Of a call that ended as \`stalled\` or \`closed\` that is not known.

${table(
  ["reason", "refusal", "meaning"],
  Object.entries(STORE_REASONS).map(([reason, { isRefusal, summary }]) => [code(reason), isRefusal ? "yes" : "", sentence(summary)]),
)}

## Event streams

\`subscribeSessionEvents\` throws a \`StreamError\` when there is nothing to subscribe to. It has a \`code\` only: \`NOT_FOUND\` (the session is
unknown or archived), \`CLOSED\` (the stream has ended), \`INTERNAL\`.
`;
}

// ── host events ──

/** @returns docs/host-events.md */
export function renderHostEvents(): string {
  const rows = Object.entries(HOST_EVENTS).map(([type, { level, message, details }]) => [
    code(type),
    level ?? "",
    sentence(message),
    details === "" ? "" : details.split(", ").map(code).join(", "),
  ]);
  return `${generatedFrom("src/protocol/host-events.ts")}

# Host events

What befalls a host beyond the errors its callers get. Each event is told three times: to the listener in \`options.onHostEvent\`, as a line to
\`options.logger\` (where the table names a level), and to the counters in \`inspect().events\`. Both functions are called on the main thread, at
once; what they throw is ignored.

An event has a \`type\` and a \`timestampMs\`, and where it applies \`lane\`, \`sessionId\`, \`ticket\` (of the turn) and \`details\`.

\`\`\`ts
const service = await EphemeralSessionService.open({
  agent,
  onHostEvent: ({ type, lane, sessionId, details }) => {
    if (type === "lane_lost") console.log("lane", lane, "ended:", details?.error);
    if (type === "session_quarantined") console.log("look at session", sessionId);
  },
});
\`\`\`

${table(["type", "log level", "meaning", "details"], rows)}

An interrupt goes up a ladder, and each step of it is an event: \`interrupt_asked\`; after \`interruptGraceMs\` either \`run_abandoned\` (the lane's loop
is alive: the caller is answered, what the run still does reaches nobody, the agent is built anew from the last boundary) or \`lane_killed\` (the
loop stands still) and then \`lane_lost\`.
`;
}

// ── metrics ──

/** @returns docs/metrics.md */
export function renderMetrics(): string {
  const groups = METRICS.map(
    ([title, rows]) => `## ${title}

${table(
  ["name", "type", "labels", "meaning"],
  rows.map(({ name, type, help, labels = [] }) => [code(name), type, labels.map(code).join(", "), help]),
)}
`,
  );
  return `${generatedFrom("src/server/metric-table.ts")}

# Metrics

\`GET /metrics\` answers in the text format of Prometheus. A program that embeds a host makes the same text itself:

\`\`\`ts
import { createMetrics } from "warren/server";

const metrics = createMetrics(service);
const text = await metrics.text(); // for a scrape; metrics.contentType says what it is
const { turnsPerS, latencyMs } = metrics.recent(); // the last ten seconds
metrics.close();
\`\`\`

Nearly everything is read when somebody scrapes, from \`inspect()\` and from what the store's thread has counted; while nobody made metrics, a turn
pays nothing for them. The registry is the host's own, not prom-client's global one: \`metrics.registry\` takes metrics of yours.

No label holds a session, a turn, a tenant or a text. \`lane\` is a shared lane's number, or \`dedicated\` for all dedicated lanes together:
their sum, unless the table says otherwise. Counters of a lane begin anew when it is restarted, which \`rate()\` knows how to read.

${groups.join("\n")}
What to watch: \`warren_turn_duration_seconds\`, \`warren_lane_loop_utilization_ratio\` near 1 (more lanes, or an agent that hogs one),
\`warren_lane_heap_used_bytes\` near its limit, \`warren_lane_queued_records\` that grows, \`nodejs_eventloop_lag_p99_seconds\` (the main thread is
the bottleneck by design), \`warren_store_commit_duration_seconds\` (the disk), \`warren_host_healthy\`, and any of
\`warren_host_events_total{type=~"lane_lost|session_quarantined|session_unsaved|store_lost"}\`.
`;
}

// ── settings ──

/** What a setting may be, in words. */
function valuesOf(name: (typeof SETTING_NAMES)[number]): string {
  const setting = settingOf(name);
  switch (setting.kind) {
    case "integer":
      return `${setting.min} to ${setting.max}${setting.or === undefined ? "" : `, or ${code(setting.or)}`}`;
    case "choice":
      return setting.choices.map(code).join(", ");
    case "switch":
      return "`true`, `false`";
    case "list":
    case "agents":
      return "one or several";
    case "path":
    case "text":
    case "url":
      return setting.kind;
    case "place":
      return "path or URL";
    case "quotas":
      return "JSON";
    default:
      return setting satisfies never;
  }
}

/** @returns docs/configuration.md */
export function renderConfiguration(): string {
  const rows = SETTING_NAMES.map((name) => {
    const { about, standard, needs } = settingOf(name);
    const shown = standard === undefined ? "" : code([standard].flat().join(", "));
    return [
      code(name),
      code(envName(name)),
      code(flagUsage(name)),
      valuesOf(name),
      shown,
      `${sentence(about)}${needs === undefined ? "" : ` Needs ${code(needs)}.`}`,
    ];
  });
  return `${generatedFrom("src/cli/serve-settings.ts")}

# Configuration

What \`warren serve\` can be told. Each setting is a member of a JSON file, an environment variable, and a flag:

\`\`\`json
{
  "port": 8787,
  "agent": ["planner=./planner.mjs", "worker=./worker.mjs"],
  "store": "./sessions",
  "hibernateAfterMs": 600000
}
\`\`\`

\`\`\`sh
WARREN_PORT=9000 npx warren serve --config warren.config.json --store /var/lib/warren
npx warren serve --print-config
\`\`\`

- The file is \`warren.config.json\` in the working directory, if it is there, or what \`--config\` or \`WARREN_CONFIG\` names. It may have no other members than these.
- Flags count before the environment, the environment before the file, the file before what is standard. \`--print-config\` says what is in effect and where each value is from, with \`--json\` for programs.
- A wrong value is refused before anything is begun, with where it stands and what it must be, also where another one would count before it. A variable that is empty is one that is not there.
- Where several values may stand, the file has an array (or one text), a variable has commas between them, a flag is given several times.
- Relative paths of the file are taken from its folder, others from the working directory.

\`warren doctor\` takes the same file, environment and flags, and says whether what they name is fit to serve.

${table(["in the file", "in the environment", "as a flag", "values", "standard", "meaning"], rows)}
`;
}

// ── state machines ──

type Transitions = Readonly<Record<string, Readonly<Record<string, string>>>>;

const CONSTANTS: Readonly<Record<keyof typeof MACHINES, { name: string; transitions: Transitions }>> = {
  turn: { name: "TURN_TRANSITIONS", transitions: TURN_TRANSITIONS },
  session: { name: "SESSION_TRANSITIONS", transitions: SESSION_TRANSITIONS },
  lane: { name: "LANE_TRANSITIONS", transitions: LANE_TRANSITIONS },
  runtime: { name: "RUNTIME_TRANSITIONS", transitions: RUNTIME_TRANSITIONS },
};

/** @returns the doc comment in front of an exported constant, without its stars, line by line */
function commentOf(source: string, constant: string): string[] {
  const at = source.indexOf(`export const ${constant} =`);
  const start = source.lastIndexOf("/**", at);
  const comment = source.slice(start + 3, source.indexOf("*/", start));
  if (at < 0 || start < 0 || start + comment.length > at) throw new Error(`${constant} has no doc comment`);
  return comment.split("\n").map((line) => line.replace(/^\s*\* ?/, "").trimEnd());
}

/** @returns what stands before the numbered lines, and those lines by number, each as one line of text */
function readInvariants(lines: readonly string[]): { intro: string; invariants: [number: string, text: string][] } {
  const intro: string[] = [];
  const invariants: [string, string][] = [];
  let open: [string, string] | undefined;
  for (const line of lines) {
    const [, number, text] = /^\s+([A-Z]\d+)\. (.*)$/.exec(line) ?? [];
    if (number !== undefined && text !== undefined) invariants.push((open = [number, text]));
    else if (line.trim() === "") open = undefined;
    else if (open !== undefined) open[1] += ` ${line.trim()}`;
    else if (invariants.length === 0) intro.push(line.trim());
  }
  return { intro: intro.join(" "), invariants };
}

function diagram(transitions: Transitions): string {
  const [first = ""] = Object.keys(transitions);
  const lines = [`    [*] --> ${first}`];
  for (const [state, row] of Object.entries(transitions)) {
    // Events with the same end share an arrow.
    const byTarget = new Map<string, string[]>();
    for (const [event, next] of Object.entries(row)) byTarget.set(next, [...(byTarget.get(next) ?? []), event]);
    for (const [next, events] of byTarget) lines.push(`    ${state} --> ${next}: ${events.join(", ")}`);
    if (Object.keys(row).length === 0) lines.push(`    ${state} --> [*]`);
  }
  return ["```mermaid", "stateDiagram-v2", ...lines, "```"].join("\n");
}

function renderMachine(machine: keyof typeof MACHINES, source: string): string {
  const { name, transitions } = CONSTANTS[machine];
  const { intro, invariants } = readInvariants(commentOf(source, name));
  const rows = Object.entries(transitions).flatMap(([state, row]) =>
    Object.entries(row).map(([event, next]) => [state, event, next].map(code)),
  );
  const ends = Object.keys(transitions).filter((state) => Object.keys(transitions[state] ?? {}).length === 0);
  return `## ${sentence(machine).slice(0, -1)}

${intro}

${diagram(transitions)}

${table(["in", "event", "leads to"], rows)}

Ends: ${ends.map(code).join(", ")}. Every other pair of state and event is a bug, and is thrown as one.

${invariants.map(([number, text]) => `- **${number}** ${text}`).join("\n")}
`;
}

/** @returns docs/state-machines.md */
export function renderStateMachines(): string {
  const source = sourceOf("src/core/machines.ts");
  const machines = (Object.keys(MACHINES) as (keyof typeof MACHINES)[]).map((machine) => renderMachine(machine, source));
  return `${generatedFrom("src/core/machines.ts")}

# State machines

The life of a turn, of a session, of a lane and of a session's runtime. Each is one table in the source, which the code steps through; what is shown here is that
table. The numbered rules hold in every state; the tests that protect a rule begin with its number.

${machines.join("\n")}`;
}

// ── shared memory ──

export interface LayoutRow {
  /** First and last word, from the start of the slot or lane. */
  readonly words: readonly [number, number];
  readonly name: string;
  readonly cells: readonly string[];
}

/** @returns the table in the doc comment in front of a constant */
export function layoutTable(constant: "LOCK" | "HEARTBEAT"): LayoutRow[] {
  const lines = commentOf(sourceOf("src/core/slot-layout.ts"), constant).filter((line) => line.startsWith("|"));
  return lines.slice(2).map((line) => {
    const cells = line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim());
    const [words = "", name = ""] = cells;
    const [first, last = first] = words.split("-").map(Number);
    return { words: [first as number, last as number], name, cells };
  });
}

const layoutHead = ["word", "name", "written by", "meaning"];
const layoutCells = (rows: readonly LayoutRow[]): string[][] =>
  rows.map(({ cells: [words = "", name = "", writer = "", meaning = ""] }) => [
    words,
    name.startsWith("(") ? name : code(name),
    writer,
    meaning.replace("see SUMMARY_WORDS", "see below"),
  ]);

/** @returns the paragraph of the slot's comment that begins with "Memory order:" */
function memoryOrder(): string {
  const lines = commentOf(sourceOf("src/core/slot-layout.ts"), "LOCK");
  return lines
    .slice(lines.findIndex((line) => line.startsWith("Memory order:")))
    .join(" ")
    .trim();
}

/** @returns docs/shared-memory.md */
export function renderSharedMemory(): string {
  const { SLOT_INTS, SEGMENT_SLOTS, SEGMENT_BYTES, SLOTS_MAX, SUMMARY_WORDS, LANE_INTS } = layout;
  const bytes = Int32Array.BYTES_PER_ELEMENT;
  const offsets = Object.entries(SUMMARY_WORDS);
  const summary = offsets.map(([name, at], index) => {
    const next = offsets[index + 1]?.[1] ?? layout.SUMMARY_INTS;
    return [next - at === 1 ? String(at) : `${at}-${next - 1}`, code(name)];
  });
  return `${generatedFrom("src/core/slot-layout.ts")}

# Shared memory

Main and the lanes share two kinds of memory. Admission, interrupts, views and health are read and written there, so none of them waits for
a thread. Only files of \`src/core\` touch these words.

## Session slots

Every live session has a slot of ${SLOT_INTS} words of 32 bits (${SLOT_INTS * bytes} bytes). Slots stand in segments of ${SEGMENT_SLOTS.toLocaleString("en")} (${SEGMENT_BYTES / 1024} KiB); the table grows by whole
segments, so what is there never moves. A host can have ${SLOTS_MAX.toLocaleString("en")} slots at most.

${table(layoutHead, layoutCells(layoutTable("LOCK")))}

${memoryOrder()}

A *ticket word* is a turn's ticket, folded to 1 … 2^31 − 1 and compared for equality only. What LOCK, VERDICT and BOUNDARY_CANCEL promise together:

${readInvariants(headerOf("src/core/turn-lock.ts"))
  .invariants.map(([number, text]) => `- **${number}** ${text}`)
  .join("\n")}

### Summary

There are two copies of ${layout.SUMMARY_INTS} words. A lane fills the one that does not count, then adds 1 to VERSION, whose low bit says which one counts: a lane that
is killed half-way leaves the last good summary in place.

${table(["word of the copy", "value"], summary)}

Values of two words are high × 2^31 + low; an absent count is −1 in its high word.

## Lane words

Every lane has ${LANE_INTS} words of its own.

${table(layoutHead, layoutCells(layoutTable("HEARTBEAT")))}
`;
}

/** @returns the first doc comment of a file, line by line */
function headerOf(path: string): string[] {
  const source = sourceOf(path);
  return source
    .slice(source.indexOf("/**") + 3, source.indexOf("*/"))
    .split("\n")
    .map((line) => line.replace(/^\s*\* ?/, "").trimEnd());
}
