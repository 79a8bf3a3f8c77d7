/** The same events for every peer: a turn is told how many and how long, and emits that many text deltas of one text. */
export interface EventJob {
  readonly events: number;
  /** Bytes of every event's text. */
  readonly bytes: number;
}

export interface TextDelta {
  readonly type: "text_delta";
  readonly delta: string;
}

export type EventSink = (event: TextDelta) => void;

const texts = new Map<number, string>();

/** A text of that many bytes, made once: what is measured is its delivery. */
export function textOf(bytes: number): string {
  let text = texts.get(bytes);
  if (text === undefined) {
    // Through a buffer, so that it is one flat string and not a rope that every reader would have to flatten first.
    text = Buffer.alloc(bytes, "The quick brown fox jumps over the lazy dog. ").toString("latin1");
    texts.set(bytes, text);
  }
  return text;
}

/** A new object for every event, as an agent makes them. */
export function emitEvents({ events, bytes }: EventJob, emit: EventSink): void {
  const delta = textOf(bytes);
  for (let n = 0; n < events; n++) emit({ type: "text_delta", delta });
}

/** A job as a prompt, for those whose turns are given texts. */
export const promptOf = ({ events, bytes }: EventJob): string => JSON.stringify({ events, bytes });
export const jobOf = (prompt: string): EventJob => JSON.parse(prompt) as EventJob;
