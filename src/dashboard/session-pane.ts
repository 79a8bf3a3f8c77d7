/** What the page shows of one session: its state, its transcript, a box for prompts. */
import type { SessionView } from "../client/index.ts";
import type { Connection } from "./connection.ts";
import { ask } from "./dialogs.ts";
import { button, byId, el, setText } from "./dom.ts";
import { age, count, messageOf } from "./format.ts";
import { LiveSession } from "./live-session.ts";
import { labelsOf } from "./session-list.ts";

export class SessionPane {
  readonly id: string;
  readonly #connection: Connection;
  readonly #session: LiveSession;
  readonly #onLeft: () => void;
  readonly #state = el("span", { class: "badge", role: "status" }, "loading");
  readonly #facts = el("p", { class: "quiet" });
  readonly #labels = el("span", {});
  readonly #trouble = el("p", { class: "wrong", role: "alert" });
  readonly #prompt = el("textarea", {
    id: "prompt",
    rows: 3,
    placeholder: "Prompt: Ctrl+Enter starts a turn",
    "aria-label": "Prompt",
    "aria-keyshortcuts": "Control+Enter",
    spellcheck: "false",
  });
  readonly #start = el("button", { class: "primary", type: "submit" }, "Start");
  readonly #interrupt: HTMLButtonElement;
  #isStarting = false;
  #isGone = false;

  /** @param onLeft - the session has gone, or its reader wants to */
  constructor(id: string, connection: Connection, onLeft: () => void) {
    this.id = id;
    this.#connection = connection;
    this.#onLeft = onLeft;
    this.#session = new LiveSession(id, connection, {
      onView: (view) => this.#show(view),
      onTrouble: (text) => setText(this.#trouble, text ?? ""),
      onGone: () => this.#gone(),
    });
    this.#interrupt = button("Interrupt", { disabled: true, "aria-keyshortcuts": "i" }, () => this.interrupt());
    byId("session", HTMLElement).replaceChildren(
      this.#head(),
      this.#facts,
      this.#session.transcript.element,
      this.#trouble,
      this.#composer(),
    );
    void this.#session.open();
  }

  #head(): HTMLElement {
    const back = button("Back", { class: "only-narrow" }, this.#onLeft);
    const archive = button("Archive", { class: "danger", "aria-keyshortcuts": "a" }, () => this.archive());
    const actions = el("div", { class: "actions" }, this.#interrupt, archive);
    return el("div", { class: "session-top" }, back, el("h1", {}, this.id), this.#state, this.#labels, actions);
  }

  #composer(): HTMLElement {
    const form = el("form", { class: "composer" }, this.#prompt, this.#start);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.start(this.#prompt.value);
    });
    this.#prompt.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      form.requestSubmit();
    });
    return form;
  }

  leave(): void {
    this.#session.leave();
  }

  focusPrompt(): void {
    this.#prompt.focus();
  }

  /** Waits for the turn's end. */
  async start(prompt: string): Promise<void> {
    if (this.#isStarting || this.#start.disabled || prompt.trim() === "") return;
    this.#isStarting = true;
    this.#prompt.value = "";
    this.#running(true);
    try {
      await this.#session.start(prompt);
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#isStarting = false;
      this.#running(false);
    }
  }

  async interrupt(): Promise<void> {
    if (this.#interrupt.disabled) return;
    await this.#connection.call((client) => client.interrupt(this.id)).catch((error: unknown) => this.#fail(error));
  }

  async archive(): Promise<void> {
    const text = "It is taken out of service; a running turn finishes.";
    if ((await ask({ title: "Archive this session?", text, accept: "Archive", isDangerous: true })) === undefined) return;
    try {
      await this.#session.pause(true);
      await this.#connection.call((client) => client.archive(this.id));
      this.#onLeft();
    } catch (error) {
      await this.#session.pause(false);
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    setText(this.#trouble, messageOf(error));
  }

  #show({ state, billing }: SessionView): void {
    const { isActive, messageCount, createdAt, labels } = state;
    this.#running(isActive || this.#isStarting);
    setText(this.#facts, `${count(messageCount)} messages · ${count(billing.totalTokens)} tokens · created ${age(createdAt)} ago`);
    const named = labelsOf(labels);
    if (this.#labels.textContent !== (named?.textContent ?? "")) this.#labels.replaceChildren(named ?? "");
  }

  #running(isRunning: boolean): void {
    if (this.#isGone) return;
    setText(this.#state, isRunning ? "running" : "idle");
    this.#state.dataset["tone"] = isRunning ? "good" : "";
    this.#interrupt.disabled = !isRunning;
    this.#start.disabled = isRunning;
  }

  #gone(): void {
    this.#isGone = true;
    setText(this.#state, "gone");
    setText(this.#trouble, "This session is out of service.");
    this.#interrupt.disabled = true;
    this.#start.disabled = true;
  }
}
