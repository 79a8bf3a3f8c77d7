/** The lines of the output, and when a turn counts as a success. */
import type { EventEnvelope } from "../protocol/events.ts";
import type { Usage } from "../protocol/session-model.ts";
import type { Expectation } from "./turn-line.ts";

export interface ErrorRecord {
  readonly code: string;
  readonly message: string;
}

/** What came out of a turn. */
export type TurnOutcome = { readonly text: string; readonly usage: Usage } | { readonly error: ErrorRecord };

/** The result of one turn. */
export interface TurnRecord {
  readonly session: string;
  /** Of the line, if it has one. */
  readonly id?: string;
  /** 1-based number within the session. */
  readonly turn: number;
  /** 1-based number of its line in the input. */
  readonly line: number;
  readonly ok: boolean;
  readonly text?: string;
  readonly error?: ErrorRecord;
  readonly usage?: Usage;
  /** From the turn's start to its result; the creation of the session is part of its first turn. */
  readonly durationMs: number;
  /** Only when it is not what came out. */
  readonly expected?: Expectation;
}

/** A line that is no turn. */
export interface BadLineRecord {
  readonly line: number;
  readonly ok: false;
  readonly error: ErrorRecord & { readonly code: "INVALID_PARAMS" };
}

export interface EventRecord {
  readonly event: EventEnvelope;
  readonly session: string;
  readonly turn: number;
}

/** What a result counts as. `unmet`: not what was expected. `interrupted`: cut off by a signal, whatever was expected. */
export type ResultStatus = "ok" | "failed" | "unmet" | "interrupted" | "bad_line";

export type LineResult =
  | { readonly status: "bad_line"; readonly problem: string; readonly record: BadLineRecord }
  | {
      readonly status: Exclude<ResultStatus, "bad_line">;
      readonly record: TurnRecord;
      /** Something else than the turn itself kept it from succeeding: asked again, it may. */
      readonly isUndecided?: boolean;
    };

/** @param problem - what is wrong, the field first */
export function badLine(line: number, problem: string): LineResult {
  return {
    status: "bad_line",
    problem,
    record: { line, ok: false, error: { code: "INVALID_PARAMS", message: `line ${line}: ${problem}` } },
  };
}

/** @returns whether what came out is a success: without expectation every text is; with one, exactly what it names */
export function verdict(outcome: TurnOutcome, expect: Expectation | undefined): "ok" | "failed" | "unmet" {
  if (expect === undefined) return "error" in outcome ? "failed" : "ok";
  const isMet = "error" in outcome ? outcome.error.code === expect.error : outcome.text === expect.text;
  return isMet ? "ok" : "unmet";
}
