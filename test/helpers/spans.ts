/** A tracer provider that keeps the spans it was given, for tests of traces. It is the process's while a test file runs. */
import { AsyncLocalStorage } from "node:async_hooks";

import type { Context, ContextManager, Span } from "@opentelemetry/api";
import { ROOT_CONTEXT, SpanStatusCode, context, trace } from "@opentelemetry/api";
import type { ReadableSpan, Sampler } from "@opentelemetry/sdk-trace-base";
import { AlwaysOnSampler, BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base";

/** What a program's SDK brings: the span that is active follows awaits. */
class AsyncContexts implements ContextManager {
  readonly #storage = new AsyncLocalStorage<Context>();

  active(): Context {
    return this.#storage.getStore() ?? ROOT_CONTEXT;
  }
  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    active: Context,
    call: F,
    thisArg?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    return this.#storage.run(active, () => call.apply(thisArg as never, args));
  }
  bind<T>(_context: Context, target: T): T {
    return target;
  }
  enable(): this {
    return this;
  }
  disable(): this {
    this.#storage.disable();
    return this;
  }
}

/** Spans as a tree, each by its name. */
export interface SpanTree {
  readonly name: string;
  readonly status: "unset" | "ok" | "error";
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly children: SpanTree[];
}

export class Spans {
  readonly #exporter = new InMemorySpanExporter();

  /** @param sampler - default: everything is sampled */
  register(sampler: Sampler = new AlwaysOnSampler()): void {
    const provider = new BasicTracerProvider({ sampler, spanProcessors: [new SimpleSpanProcessor(this.#exporter)] });
    trace.setGlobalTracerProvider(provider);
    context.setGlobalContextManager(new AsyncContexts());
  }

  unregister(): void {
    trace.disable();
    context.disable();
    this.#exporter.reset();
  }

  /** Spans that have ended, in that order. */
  get all(): readonly ReadableSpan[] {
    return this.#exporter.getFinishedSpans();
  }

  /** @returns the trees of all spans, parents whose own span has not ended left out */
  trees(): SpanTree[] {
    const spans = [...this.all].sort((a, b) => a.startTime[0] - b.startTime[0] || a.startTime[1] - b.startTime[1]);
    const childrenOf = (parent: string | undefined): SpanTree[] =>
      spans.filter((span) => span.parentSpanContext?.spanId === parent).map((span) => treeOf(span));
    const treeOf = (span: ReadableSpan): SpanTree => ({
      name: span.name,
      status: span.status.code === SpanStatusCode.ERROR ? "error" : span.status.code === SpanStatusCode.OK ? "ok" : "unset",
      attributes: span.attributes,
      children: childrenOf(span.spanContext().spanId),
    });
    const known = new Set(spans.map((span) => span.spanContext().spanId));
    return spans.filter(({ parentSpanContext }) => parentSpanContext === undefined || !known.has(parentSpanContext.spanId)).map(treeOf);
  }
}

/** Run within a span of the caller's. @returns what it gave, and the span */
export async function inSpan<T>(name: string, run: () => Promise<T>): Promise<{ value: T; span: Span }> {
  return trace.getTracer("test").startActiveSpan(name, async (span) => {
    try {
      return { value: await run(), span };
    } finally {
      span.end();
    }
  });
}

/** A tree as nested lists of names. */
export type Names = [name: string, ...children: Names[]];
export const namesOf = ({ name, children }: SpanTree): Names => [name, ...children.map(namesOf)];
