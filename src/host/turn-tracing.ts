/**
 * Spans of turns, by the API of OpenTelemetry: whoever embeds a host brings the SDK. Loaded by hosts opened with `tracing: true` only.
 *
 *   caller's span → [warren.session.create →] warren.turn → warren.lane.run, warren.store.append, and the agent's own spans
 *
 *   P1. Whether a turn is followed is decided once, at its admission. While no provider is registered, or the sampler says no, its lane
 *       measures nothing; of a trace that was begun elsewhere and is not sampled, the lane learns the `traceparent` all the same.
 *   P2. Every span of ours ends: a turn's with its answer, those of its lane's intervals when the lane has reported them.
 *   P3. A span says who, where and how it ended, never what was said: no prompt, no text, no event.
 */
import type { Context, Span, Tracer } from "@opentelemetry/api";
import { SpanStatusCode, context, isSpanContextValid, trace } from "@opentelemetry/api";

import { SessionError } from "../protocol/errors.ts";
import type { LaneTimes, TurnExtras } from "../protocol/frames.ts";
import type { SessionId } from "../protocol/ids.ts";
import type { RunResult } from "../protocol/views.ts";
import { monotonicMs } from "../transport/monotonic.ts";
import type { SettledTurn, TurnTrace } from "./turn-observer.ts";

export class TurnTracing {
  readonly #tracer: Tracer = trace.getTracer("warren");

  /** @returns what follows a turn that is asked for now; the span that is active now is its parent */
  turn(): TurnTrace {
    return new TracedTurn(this.#tracer, context.active());
  }

  /** A create and its first turn. @param run - is given what follows the turn */
  async create(agent: string, run: (turn: TurnTrace) => Promise<RunResult>): Promise<RunResult> {
    const parent = context.active();
    const span = this.#tracer.startSpan("warren.session.create", { attributes: { "warren.agent": agent } }, parent);
    try {
      const result = await run(new TracedTurn(this.#tracer, trace.setSpan(parent, span)));
      span.setAttribute("warren.session.id", result.sessionId);
      return result;
    } catch (error) {
      if (error instanceof SessionError) {
        if (error.sessionId !== undefined) span.setAttribute("warren.session.id", error.sessionId);
        failWith(span, error);
      } else span.setStatus({ code: SpanStatusCode.ERROR });
      throw error;
    } finally {
      span.end();
    }
  }
}

class TracedTurn implements TurnTrace {
  readonly #tracer: Tracer;
  readonly #parent: Context;
  #span: Span | undefined;
  /** The admission, by both clocks: a span's times are epoch milliseconds. */
  #epochMs = 0;
  #monotonicMs = 0;

  constructor(tracer: Tracer, parent: Context) {
    this.#tracer = tracer;
    this.#parent = parent;
  }

  admitted(id: SessionId, ticket: number): Pick<TurnExtras, "traceparent" | "wantsTimes"> | undefined {
    this.#epochMs = performance.timeOrigin + performance.now();
    this.#monotonicMs = monotonicMs();
    const attributes = { "warren.session.id": id, "warren.turn.ticket": ticket };
    const span = this.#tracer.startSpan("warren.turn", { startTime: this.#epochMs, attributes }, this.#parent);
    const { traceId, spanId, traceFlags } = span.spanContext();
    const traceparent = `00-${traceId}-${spanId}-${(traceFlags & 0xff).toString(16).padStart(2, "0")}`;
    if (span.isRecording()) {
      this.#span = span;
      return { traceparent, wantsTimes: true };
    }
    span.end();
    return isSpanContextValid(span.spanContext()) ? { traceparent } : undefined;
  }

  settled({ lane, outcome, error, durationMs }: SettledTurn, times: LaneTimes | undefined): void {
    const span = this.#span;
    if (span === undefined) return;
    const endMs = this.#epochMs + durationMs;
    span.setAttribute("warren.turn.outcome", outcome);
    if (lane !== undefined) span.setAttribute("warren.lane", lane);
    if (times !== undefined) {
      span.setAttribute("warren.agent", times.agent);
      span.setAttribute("warren.turn.wait_ms", Math.max(0, times.taken - this.#monotonicMs));
      this.#addLaneSpans(span, times, lane, endMs, error);
    }
    if (error !== undefined) failWith(span, error);
    span.end(endMs);
  }

  #addLaneSpans(parent: Span, times: LaneTimes, lane: number | undefined, endMs: number, error: SessionError | undefined): void {
    const { entered, left, saving, saved } = times;
    const attributes = lane === undefined ? {} : { "warren.lane": lane };
    const within = trace.setSpan(this.#parent, parent);
    const add = (name: string, from: number, to: number | undefined, failure: SessionError | undefined): void => {
      const span = this.#tracer.startSpan(name, { startTime: this.#epochOf(from), attributes }, within);
      if (failure !== undefined) failWith(span, failure);
      span.end(to === undefined ? endMs : this.#epochOf(to));
    };
    // What failed is the save if one began: it does so for good runs only.
    if (entered !== undefined) add("warren.lane.run", entered, left, saving === undefined ? error : undefined);
    if (saving !== undefined) add("warren.store.append", saving, saved, saved === undefined ? error : undefined);
  }

  #epochOf(ms: number): number {
    return this.#epochMs + (ms - this.#monotonicMs);
  }
}

function failWith(span: Span, error: SessionError): void {
  span.setStatus({ code: SpanStatusCode.ERROR, message: error.agentError?.kind ?? error.code });
  span.setAttribute("error.type", error.agentError?.kind ?? error.code);
}
