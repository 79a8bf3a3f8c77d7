/** Options of a host: one schema with every default, and the types callers write. */
import * as z from "zod";

import type { HostEvent } from "./host-events.ts";
import { json } from "./json-schema.ts";
import { list } from "./list.ts";
import type { ResourceLimits } from "./resource-limits.ts";
import { ResourceLimitsSchema } from "./resource-limits.ts";

/** Where structured log lines go; any logger with these methods will do. Called on the main thread only. */
export interface Logger {
  info(fields: Record<string, unknown>, message: string): void;
  warn(fields: Record<string, unknown>, message: string): void;
  error(fields: Record<string, unknown>, message: string): void;
}
/** A file URL, a path, or a package specifier of a module whose default export is a SessionAgentBuilder. */
export type AgentModule = URL | string;

const agentModule = z.union([z.instanceof(URL), z.string().min(1)], "must be a URL or a module specifier");
const milliseconds = (standard: number) => z.number().nonnegative().max(2_147_483_647).default(standard);

export const LoggerSchema = z.custom<Logger>(
  (value) =>
    typeof value === "object" &&
    value !== null &&
    ["info", "warn", "error"].every((name) => typeof Reflect.get(value, name) === "function"),
  "must have info, warn and error methods",
);

export const SessionServiceOptionsSchema = z.strictObject({
  agent: z.union([
    agentModule,
    z.record(z.string().min(1), agentModule).refine((agents) => Object.keys(agents).length > 0, "must name an agent"),
  ]),
  maxSessions: z.int().positive().max(16_777_216).default(100_000),
  lanes: z
    .strictObject({
      count: z.union([z.int().positive().max(512), z.literal("auto")]).default("auto"),
      dedicatedMax: z.int().nonnegative().max(512).default(16),
      resourceLimits: ResourceLimitsSchema.optional(),
      dedicatedResourceLimits: ResourceLimitsSchema.optional(),
      externalMemoryMaxMb: z.number().positive().optional(),
      hogPolicy: z.enum(["report", "move", "dedicate"]).default("move"),
      env: z.record(z.string(), z.string()).optional(),
      execArgv: list(z.string()).optional(),
      builtins: z.enum(["fixed", "open"]).default("fixed"),
      restartsMax: z.int().nonnegative().max(1_000_000).default(10),
      restartWindowMs: milliseconds(60_000),
    })
    .prefault({}),
  latency: z.enum(["balanced", "low"]).default("balanced"),
  interruptGraceMs: milliseconds(5000),
  buildTimeoutMs: milliseconds(60_000),
  laneStallMs: milliseconds(10_000),
  laneStallPolicy: z.enum(["report", "kill"]).default("report"),
  consumerStallMs: milliseconds(30_000),
  archivedViewsMax: z.int().nonnegative().default(10_000),
  maxPromptBytes: z
    .int()
    .positive()
    .default(4 * 1024 * 1024),
  logger: LoggerSchema.optional(),
  tracing: z.boolean().default(false),
  onHostEvent: z.custom<(event: HostEvent) => void>((value) => typeof value === "function", "must be a function").optional(),
});
/** Options with every default filled in. */
export type HostOptions = z.output<typeof SessionServiceOptionsSchema>;

export const PersistenceOptionsSchema = SessionServiceOptionsSchema.extend({
  store: z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("memory") }),
    z.strictObject({ kind: z.literal("lmdb"), path: z.string().min(1), mapSizeBytes: z.int().positive().optional() }),
    z.strictObject({
      kind: z.literal("module"),
      module: z.union([z.instanceof(URL), z.string().min(1)], "must be a URL or a module specifier"),
      options: json().optional(),
    }),
  ]),
  durability: z.enum(["fsync", "commit"]).default("fsync"),
  archivePolicy: z.enum(["retain", "delete"]).default("retain"),
  events: z.enum(["none", "log"]).default("none"),
  runtime: z.enum(["none", "durable"]).default("none"),
  hibernateAfterMs: z.number().positive().max(2_147_483_647).optional(),
});
/** Options of a host with a store. */
export type PersistentHostOptions = z.output<typeof PersistenceOptionsSchema>;

/** What the store thread is given. */
export interface StoreSettings {
  readonly store:
    | Exclude<StoreOptions, { kind: "module" }>
    | { readonly kind: "module"; readonly module: string; readonly options?: unknown };
  readonly durability: "fsync" | "commit";
}

export type StoreOptions =
  /** Gone with the host; for tests. */
  | { kind: "memory" }
  /** An LMDB environment in the folder `path`, made if it is not there. `mapSizeBytes`: how large it may become. */
  | { kind: "lmdb"; path: string; mapSizeBytes?: number | undefined }
  /** A module that exports createSessionStore(options): a third party's store, loaded in the store thread. `options` are JSON. */
  | { kind: "module"; module: URL | string; options?: unknown };

export interface PersistenceOptions {
  store: StoreOptions;
  /** When a turn is acknowledged: its commit is on disk ("fsync", default), or with the operating system ("commit"). */
  durability?: "fsync" | "commit" | undefined;
  /** Whether an archived session stays readable ("retain", default) or is removed. */
  archivePolicy?: "retain" | "delete" | undefined;
  /** Keep turns' events in the store, so that streams can be resumed. Default "none". */
  events?: "none" | "log" | undefined;
  /** Offer a runtime adapter whose runtimes and accepted inputs are in the store ("durable"), or none. Default "none". */
  runtime?: "none" | "durable" | undefined;
  /** Milliseconds after which an idle live session sleeps. Default: only when the host is at capacity. */
  hibernateAfterMs?: number | undefined;
}

export interface SessionServiceOptions {
  /** Agent module(s), loaded inside lanes. With several, a create names one; a single one is called "default". */
  agent: AgentModule | Record<string, AgentModule>;
  /** Live sessions at most. Default 100,000. */
  maxSessions?: number | undefined;
  lanes?:
    | {
        /** Shared lanes. "auto" (default) follows the number of cores. */
        count?: number | "auto" | undefined;
        /** Dedicated lanes at most (sessions created with isolation "dedicated"). Default 16. */
        dedicatedMax?: number | undefined;
        /** Of every lane's thread. A lane that goes beyond its heap ends, and its sessions with it. Default: V8's own. */
        resourceLimits?: ResourceLimits | undefined;
        /** Of a dedicated lane; what is not named here is as in `resourceLimits`. A session may have limits of its own (CreateSessionRequest). */
        dedicatedResourceLimits?: ResourceLimits | undefined;
        /**
         * MiB that a lane's objects may hold outside its heap: buffers, mostly, for which no `resourceLimits` hold. Near it idle sessions leave
         * the lane; beyond it the lane is killed. One that blocks its loop cannot say what it holds: it is killed when the whole process
         * has grown by that much meanwhile. Default: no limit.
         */
        externalMemoryMaxMb?: number | undefined;
        /**
         * What becomes of sessions that leave their lane's others no time while another lane has some. "move" (default): the session that uses
         * half of it or more goes to the other lane at its next boundary, or the others do; "dedicate": it gets a lane of its own, while there
         * are any; "report": nothing.
         */
        hogPolicy?: "report" | "move" | "dedicate" | undefined;
        /** Environment variables that agents may see. Default none. */
        env?: Record<string, string> | undefined;
        execArgv?: string[] | undefined;
        /**
         * "fixed" (default): once its agents are loaded, a lane's standard built-ins (Promise, Map, JSON, timers, …) cannot be changed: the attempt
         * throws where it is made. "open": they can, for agents whose libraries do so while they run; then one agent can break its neighbours.
         */
        builtins?: "fixed" | "open" | undefined;
        /**
         * How often a shared lane that was lost is started again within `restartWindowMs` (default 10 in 60,000): the first time at once, then
         * after 100 ms, 200 ms, … 5 s. Lost more often it stays down until the window allows it; the host reports `health: "degraded"`.
         */
        restartsMax?: number | undefined;
        restartWindowMs?: number | undefined;
      }
    | undefined;
  /**
   * "balanced" (default): main polls for the answer to a lone turn, at most 50 µs. "low": main and the lanes that were sent to last, one
   * fewer than there are cores, poll for 0.25 ms after every frame, which trades CPU for latency.
   */
  latency?: "balanced" | "low" | undefined;
  /** Milliseconds an agent may ignore an interrupt before its run is given up. Default 5,000. */
  interruptGraceMs?: number | undefined;
  /**
   * Milliseconds an agent's builder may take; beyond, the create or the wake-up fails, and a builder that blocks its lane is killed with it.
   * A lane has as long to load its agents, and at least 10,000: beyond, it is killed, or, when the host opens, that fails. Default 60,000.
   */
  buildTimeoutMs?: number | undefined;
  /** A lane whose event loop has not moved for this many milliseconds is taken for blocked. Default 10,000. */
  laneStallMs?: number | undefined;
  /** What happens to a blocked lane when nobody interrupts. Default "report". */
  laneStallPolicy?: "report" | "kill" | undefined;
  /** Milliseconds without progress after which a consumer of a turn's events is detached. Default 30,000. */
  consumerStallMs?: number | undefined;
  /** Archived views an ephemeral host keeps, oldest out. Default 10,000. */
  archivedViewsMax?: number | undefined;
  /** UTF-8 bytes; larger prompts are refused with INVALID_PARAMS. Default 4 MiB. */
  maxPromptBytes?: number | undefined;
  /** Gets a line for each host event of a level. */
  logger?: Logger | undefined;
  /** Told of what befalls the host (docs/host-events.md), on the main thread; what it throws is ignored. */
  onHostEvent?: ((event: HostEvent) => void) | undefined;
  /** Make OpenTelemetry spans of creates and turns, if a tracer provider is registered (docs/tracing.md). Default false. */
  tracing?: boolean | undefined;
}
