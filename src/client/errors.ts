/**
 * What a client's calls reject with. Test `code`, never the text: it is the code of the problem document, or one of `CLIENT_ERRORS` when
 * there is none.
 */
import type { AgentErrorData, Disposition } from "../protocol/errors.ts";

/** Codes of errors that no server has made. */
export const CLIENT_ERRORS = {
  CONNECTION_FAILED: { disposition: "retry", summary: "the server cannot be reached, or the connection ended before the answer" },
  STREAM_CUT: { disposition: "give-up", summary: "the connection ended within a turn's events; the turn may go on, and its session tells" },
  BAD_ANSWER: { disposition: "bug", summary: "the answer is not one of Warren's" },
} as const satisfies Record<string, { disposition: Disposition; summary: string }>;

/** A problem document (RFC 9457), as Warren answers with. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  instance: string;
  code: string;
  disposition: Disposition;
  sessionId?: string;
  agentError?: AgentErrorData;
  details?: Record<string, unknown>;
  errors?: { field: string; message: string }[];
}

interface Fields {
  readonly disposition: Disposition;
  readonly status?: number | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly problem?: Problem | undefined;
  readonly cause?: unknown;
}

export class WarrenClientError extends Error {
  readonly code: string;
  /** What a caller may do next. */
  readonly disposition: Disposition;
  /** Of the answer; undefined: there was none. */
  readonly status: number | undefined;
  /** Milliseconds after which the server would be asked again. */
  readonly retryAfterMs: number | undefined;
  /** The whole document: `sessionId`, `agentError`, `details`, `errors` by field. */
  readonly problem: Problem | undefined;

  constructor(code: string, message: string, fields: Fields) {
    super(message, fields.cause === undefined ? undefined : { cause: fields.cause });
    this.name = "WarrenClientError";
    this.code = code;
    this.disposition = fields.disposition;
    this.status = fields.status;
    this.retryAfterMs = fields.retryAfterMs;
    this.problem = fields.problem;
  }
}

export function clientError(code: keyof typeof CLIENT_ERRORS, message: string, cause?: unknown): WarrenClientError {
  return new WarrenClientError(code, message, { disposition: CLIENT_ERRORS[code].disposition, cause });
}

/** @param retryAfter - the header, where there is one */
export function errorOfProblem(problem: Problem, retryAfter?: string | null): WarrenClientError {
  const { code, detail, disposition, status, details } = problem;
  const told = details?.["retryAfterMs"];
  const retryAfterMs = typeof told === "number" ? told : headerMs(retryAfter);
  return new WarrenClientError(code, detail, { disposition, status, retryAfterMs, problem });
}

/** The error that an answer without success stands for. Reads its body. */
export async function errorOfAnswer(response: Response): Promise<WarrenClientError> {
  const text = await response.text();
  const problem = asProblem(text);
  if (problem !== undefined) return errorOfProblem(problem, response.headers.get("retry-after"));
  // Something in between has answered, such as a proxy whose server is away.
  const isAway = response.status === 429 || response.status >= 502;
  return new WarrenClientError("BAD_ANSWER", `${response.status} without a problem document: ${text.slice(0, 200)}`, {
    disposition: isAway ? "retry" : CLIENT_ERRORS.BAD_ANSWER.disposition,
    status: response.status,
    retryAfterMs: headerMs(response.headers.get("retry-after")),
  });
}

function asProblem(text: string): Problem | undefined {
  try {
    const value = JSON.parse(text) as Partial<Problem> | null;
    return typeof value?.code === "string" && typeof value.disposition === "string" ? (value as Problem) : undefined;
  } catch {
    return undefined; // it is none
  }
}

function headerMs(retryAfter: string | null | undefined): number | undefined {
  const seconds = Number(retryAfter ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : undefined;
}
