/** What one line of the input says: its schema, and how a wrong line is described. */
import * as z from "zod";

import type { ErrorCode } from "../protocol/errors.ts";
import { ERRORS } from "../protocol/errors.ts";
import { CreateSessionRequestSchema, StartTurnRequestSchema } from "../protocol/requests.ts";

/** Bytes of a line at most, and so of a prompt. */
export const LINE_BYTES_MAX = 8 * 1024 * 1024;

/** Labels whose names begin so are the run's own. */
export const RUN_LABELS = "warren.run/";

const text = z.string("must be a string");
const name = text.min(1, "must not be empty").max(256, "must have at most 256 characters");

const TurnLineSchema = z.strictObject(
  {
    /** A name within the run; the host's own id for the session is another. */
    session: name,
    /** What the line is known by in the output and to later runs; unique in the input. */
    id: name.optional(),
    prompt: text,
    labels: CreateSessionRequestSchema.shape.labels.refine(
      (labels) => !Object.keys(labels ?? {}).some((key) => key.startsWith(RUN_LABELS)),
      `must not begin with ${RUN_LABELS}`,
    ),
    timeoutMs: StartTurnRequestSchema.shape.timeoutMs,
    /** Other than "reject": the line does not wait for those of its session before it, and the host decides. */
    onBusy: StartTurnRequestSchema.shape.onBusy,
    expect: z
      .strictObject(
        { text: text.optional(), error: z.enum(Object.keys(ERRORS) as ErrorCode[], "must be an error code").optional() },
        "must be an object",
      )
      .refine((expect) => (expect.text === undefined) !== (expect.error === undefined), "must have either text or error")
      .optional(),
  },
  "must be an object",
);

/** One turn, as a line says it. */
export type TurnLine = z.output<typeof TurnLineSchema>;
export type Expectation = NonNullable<TurnLine["expect"]>;
export type ParsedLine = { readonly turn: TurnLine } | { readonly problem: string } | undefined;

/** @returns whether the turn is for the host as soon as those before it are, though they may still run */
export const isForBusy = ({ onBusy = "reject" }: TurnLine): boolean => onBusy !== "reject";

/** @returns the line's turn, or what is wrong with it (the field first), or undefined for a blank line */
export function parseTurnLine(line: string): ParsedLine {
  if (line.trim() === "") return undefined;
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    return { problem: `is not JSON: ${(error as SyntaxError).message}` };
  }
  const parsed = TurnLineSchema.safeParse(value);
  return parsed.success ? { turn: parsed.data } : { problem: describe(parsed.error) };
}

function describe(error: z.ZodError): string {
  const issue = error.issues[0];
  if (issue === undefined) return "is not valid";
  if (issue.code === "unrecognized_keys") return `${[...issue.path, issue.keys[0]].map(String).join(".")}: is not a known field`;
  return issue.path.length === 0 ? issue.message : `${issue.path.map(String).join(".")}: ${issue.message}`;
}
