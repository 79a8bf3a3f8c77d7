/** A fault of docs/faults.md: what an agent does, and how a session comes to do it. */
import type { PersistenceOptions, SessionServiceOptions } from "../../dist/src/index.js";

/** Where the fault is committed, and whose call it meets. The names are those of fixtures/faults/. */
export type Act =
  /** In a turn. */
  | { readonly turn: string }
  /** By the builder or agent, in a `createSession` with a first turn. */
  | { readonly create: string }
  /** By an agent made well, in its second turn. */
  | { readonly second: string }
  /** By the builder, when a stored session wakes for a turn. */
  | { readonly wake: string }
  /** By the agent, when its session is archived. */
  | { readonly archive: string };

export interface Fault {
  /** "An agent that …": the row's name. */
  readonly name: string;
  readonly does: Act;
  /** The caller interrupts the turn once it has emitted its first event, and only then it ends. */
  readonly interrupted?: "once it runs" | "after a while";
  /** The caller listens to the turn's events. */
  readonly listens?: boolean;
  /** What the fault does comes after its turn: the run waits until a lane is lost, or it has taken its time. */
  readonly later?: "a lane is lost" | "a stray error" | "a stall";
  /** The fault is committed once more before anybody looks. */
  readonly again?: boolean;
  readonly dedicated?: boolean;
  readonly options?: Partial<SessionServiceOptions & PersistenceOptions>;
  /** Whether stray errors come of it depends on where the stack ends. */
  readonly mayStray?: boolean;
  /** It changes what its lane's sessions share: the host serves no other fault. */
  readonly stains?: boolean;
  /** Only with a store: it is about waking. */
  readonly storeOnly?: boolean;
}

/** What one run showed, in the words of the document. */
export interface Observation {
  readonly caller: string;
  readonly session: string;
  readonly neighbours: string;
  readonly otherLanes: string;
  readonly host: string;
}

export type HostKind = "ephemeral" | "persistent";
