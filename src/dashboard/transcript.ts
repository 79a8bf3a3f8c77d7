/**
 * A session's transcript on the page: messages, and turns as they were seen to run.
 *
 *   D1. What it holds is bounded: the newest events of a turn, the end of its output, the newest entries.
 *   D2. It stays at its end while its reader is there, and where they are otherwise.
 */
import type { EventEnvelope, Message } from "../client/index.ts";
import { el, setText } from "./dom.ts";
import { clock } from "./format.ts";

const ENTRIES_MAX = 400;
/** Of a turn: events, and output between them. */
const PIECES_MAX = 300;
/** Characters of a turn's output. */
const OUTPUT_MAX = 200_000;
const CHUNKS_MAX = 200;
/** Milliseconds. */
const DRAW_MS = 40;
/** Pixels from the end that count as being there. */
const NEAR_END = 40;

export class Transcript {
  readonly element = el("div", { class: "card transcript", role: "log", "aria-live": "polite", "aria-label": "Transcript", tabindex: 0 });

  /** In place of everything. */
  reset(messages: readonly Message[], hidden: number): void {
    this.element.replaceChildren();
    if (hidden > 0) this.element.append(el("p", { class: "quiet" }, `${hidden} earlier messages`));
    this.add(messages);
  }

  /** @param ahead - undefined: at the end; else ahead of this turn */
  add(messages: readonly Message[], ahead?: TurnEntry): void {
    const elements = messages.map(messageOf);
    this.#keepingPlace(() => (ahead === undefined ? this.element.append(...elements) : ahead.element.before(...elements)));
  }

  /** @param prompt - undefined: not known yet */
  beginTurn(prompt: string | undefined): TurnEntry {
    const turn = new TurnEntry(prompt, (change) => this.#keepingPlace(change));
    this.#keepingPlace(() => this.element.append(turn.element));
    return turn;
  }

  #keepingPlace(change: () => void): void {
    const { element } = this;
    const isAtEnd = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_END;
    change();
    while (element.childElementCount > ENTRIES_MAX) element.firstElementChild?.remove();
    if (isAtEnd) element.scrollTop = element.scrollHeight;
  }
}

/** One turn as it runs, and after. */
export class TurnEntry {
  readonly element = el("section", { class: "turn", "aria-label": "Turn", "data-state": "running" });
  readonly #keepingPlace: (change: () => void) => void;
  readonly #state = el("p", { class: "quiet running" }, "running");
  /** What pieces stand ahead of. */
  #tail: HTMLElement = this.#state;
  /** Pieces of output and events, oldest first. */
  readonly #pieces: HTMLElement[] = [];
  #chars = 0;
  /** The output that goes on. */
  #output: HTMLElement | undefined;
  /** Output that is not drawn yet: agents may emit faster than a page is drawn. */
  #pending = "";
  #drawing: ReturnType<typeof setTimeout> | undefined;
  #hasPrompt = false;

  constructor(prompt: string | undefined, keepingPlace: (change: () => void) => void) {
    this.#keepingPlace = keepingPlace;
    this.element.append(this.#state);
    if (prompt !== undefined) this.setPrompt(prompt);
  }

  setPrompt(prompt: string): void {
    if (this.#hasPrompt) return;
    this.#hasPrompt = true;
    this.element.prepend(said("user", prompt));
  }

  note(text: string): void {
    setText(this.#state, text);
  }

  event({ seq, payload, timestampMs }: EventEnvelope): void {
    if (payload.type === "text_delta") {
      this.#pending += (payload as { delta: string }).delta;
      this.#drawing ??= setTimeout(() => this.#draw(), DRAW_MS);
      return;
    }
    this.#draw();
    this.#output = undefined;
    this.#keepingPlace(() => this.#add(eventRow(seq === 0, payload, timestampMs)));
  }

  #draw(): void {
    clearTimeout(this.#drawing);
    this.#drawing = undefined;
    const text = this.#pending.slice(-OUTPUT_MAX);
    this.#pending = "";
    if (text === "") return;
    this.#keepingPlace(() => {
      const output = this.#output ?? this.#add(el("pre", { class: "output", "aria-label": "Output", tabindex: 0 }));
      this.#output = output;
      output.append(text);
      this.#chars += text.length;
      if (output.childNodes.length > CHUNKS_MAX) output.normalize();
      output.scrollTop = output.scrollHeight;
      if (this.#chars > OUTPUT_MAX) this.#forget();
    });
  }

  #add<E extends HTMLElement>(piece: E): E {
    this.#pieces.push(piece);
    this.#tail.before(piece);
    while (this.#pieces.length > PIECES_MAX) this.#drop();
    return piece;
  }

  /** D1. The oldest output goes first; the one that goes on loses its beginning. */
  #forget(): void {
    while (this.#chars > OUTPUT_MAX && this.#pieces.length > 1) this.#drop();
    const [last] = this.#pieces;
    if (this.#chars <= OUTPUT_MAX || last === undefined) return;
    const kept = (last.textContent ?? "").slice(-OUTPUT_MAX / 2);
    last.textContent = `… ${kept}`;
    this.#chars = kept.length;
  }

  #drop(): void {
    const piece = this.#pieces.shift();
    if (piece?.classList.contains("output") === true) this.#chars -= piece.textContent?.length ?? 0;
    piece?.remove();
  }

  /** @param last - what the turn came to; undefined: not known */
  end(state: "done" | "failed" | "unknown", last?: string): void {
    this.#draw();
    this.element.dataset["state"] = state;
    this.#keepingPlace(() => {
      if (last !== undefined) {
        this.#tail = said(state === "failed" ? "error" : "assistant", last);
        this.#state.replaceWith(this.#tail);
      } else {
        this.#state.classList.remove("running");
        setText(this.#state, "ended without an answer");
      }
    });
  }
}

function eventRow(isMarker: boolean, payload: EventEnvelope["payload"], timestampMs: number): HTMLElement {
  const { type, ...members } = payload;
  const isGap = isMarker && type === "stream_truncated";
  const what = isGap ? gapText(members) : JSON.stringify(members);
  return el(
    "div",
    { class: isGap ? "event gap" : "event" },
    el("time", {}, clock(timestampMs)),
    el("span", { class: "mono" }, isGap ? "gap" : type),
    el("span", { class: "what mono", title: what.slice(0, 2000) }, what.slice(0, 300)),
  );
}

function gapText(members: object): string {
  const { reason } = members as { reason?: { dropped?: number; kind?: string } };
  return reason?.kind === "rolled_back" ? `${reason.dropped ?? 0} events were undone` : `${reason?.dropped ?? 0} events are missing here`;
}

function said(role: "user" | "assistant" | "error" | "system" | "tool", text: string): HTMLElement {
  return el("article", { class: `message ${role}` }, el("div", { class: "who" }, role), el("pre", {}, text));
}

function messageOf(message: Message): HTMLElement {
  const who = { block_assistant: "assistant", tool_results: "tool" } as const;
  return said(message.role === "block_assistant" || message.role === "tool_results" ? who[message.role] : message.role, textOf(message));
}

/** What a message says, as text. */
export function textOf(message: Message): string {
  if (message.role === "block_assistant")
    return message.blocks.map(({ data }) => ("text" in data ? data.text : `${data.name}(${JSON.stringify(data.args)})`)).join("\n");
  if (message.role === "tool_results") return message.results.map(({ content }) => content).join("\n");
  return message.content;
}
