/** The list of sessions: searched, paged, kept up to date, walked through with the arrow keys. */
import type { SessionSummary } from "../client/index.ts";
import type { Connection } from "./connection.ts";
import { byId, el, setText, sleep, whenVisible } from "./dom.ts";
import { age, count, messageOf, shortId } from "./format.ts";
import { findSessions } from "./session-search.ts";

const EVERY_MS = 2000;
const AFTER_TYPING_MS = 200;

export class SessionList {
  readonly #connection: Connection;
  readonly #list = byId("session-list", HTMLUListElement);
  readonly #note = byId("session-note", HTMLElement);
  readonly #search = byId("search", HTMLInputElement);
  readonly #previous = byId("previous-page", HTMLButtonElement);
  readonly #next = byId("next-page", HTMLButtonElement);
  readonly #rows = new Map<string, HTMLElement>();
  /** Cursors of the pages up to this one; the first has none. */
  #cursors: (string | undefined)[] = [undefined];
  #nextCursor: string | undefined;
  #selected: string | undefined;
  /** What is asked now; an answer to something older is thrown away. */
  #asked = 0;
  #typing: ReturnType<typeof setTimeout> | undefined;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#search.addEventListener("input", () => {
      clearTimeout(this.#typing);
      this.#typing = setTimeout(() => this.#goTo([undefined]), AFTER_TYPING_MS);
    });
    byId("search-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      this.focusRow(0);
    });
    this.#previous.addEventListener("click", () => this.#goTo(this.#cursors.slice(0, -1)));
    this.#next.addEventListener("click", () => this.#goTo([...this.#cursors, this.#nextCursor]));
    this.#list.addEventListener("keydown", (event) => this.#onKey(event));
    this.#search.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowDown") return;
      event.preventDefault();
      this.focusRow(0);
    });
  }

  /** For as long as the page lives. */
  async run(): Promise<void> {
    for (;;) {
      await whenVisible();
      await this.refresh();
      await sleep(EVERY_MS);
    }
  }

  focusSearch(): void {
    this.#search.focus();
    this.#search.select();
  }

  select(id: string | undefined): void {
    this.#selected = id;
    for (const [each, row] of this.#rows) mark(row, each === id);
  }

  async refresh(): Promise<void> {
    const asked = ++this.#asked;
    const text = this.#search.value.trim();
    try {
      const { data, nextCursor, isPartial } = await this.#connection.call((client) => findSessions(client, text, this.#cursors.at(-1)));
      if (asked !== this.#asked) return;
      this.#nextCursor = nextCursor;
      this.#show(data);
      const page = this.#cursors.length === 1 && nextCursor === undefined ? "" : `, page ${this.#cursors.length}`;
      setText(
        this.#note,
        `${count(data.length)} ${data.length === 1 ? "session" : "sessions"}${page}${isPartial === true ? ", more to search" : ""}`,
      );
    } catch (error) {
      if (asked === this.#asked) setText(this.#note, messageOf(error));
    }
    this.#previous.disabled = this.#cursors.length === 1;
    this.#next.disabled = this.#nextCursor === undefined;
    byId("pages", HTMLElement).hidden = this.#previous.disabled && this.#next.disabled;
  }

  #goTo(cursors: (string | undefined)[]): void {
    this.#cursors = cursors.length === 0 ? [undefined] : cursors;
    void this.refresh();
  }

  #show(sessions: readonly SessionSummary[]): void {
    const ids = new Set(sessions.map(({ sessionId }) => sessionId));
    const isSame = ids.size === this.#rows.size && [...this.#rows.keys()].every((id) => ids.has(id));
    const focused = [...this.#rows].find(([, row]) => row === document.activeElement)?.[0];
    if (!isSame) {
      for (const id of this.#rows.keys()) if (!ids.has(id)) this.#rows.delete(id);
      const kept = new Map(this.#rows);
      this.#rows.clear();
      for (const { sessionId } of sessions) this.#rows.set(sessionId, kept.get(sessionId) ?? rowOf(sessionId));
      this.#list.replaceChildren(...[...this.#rows.values()].map((row) => el("li", {}, row)));
    }
    for (const summary of sessions) fill(this.#rows.get(summary.sessionId) as HTMLElement, summary, summary.sessionId === this.#selected);
    if (!isSame && focused !== undefined) this.#rows.get(focused)?.focus();
  }

  focusRow(index: number): void {
    [...this.#rows.values()].at(index)?.focus();
  }

  #onKey(event: KeyboardEvent): void {
    const rows = [...this.#rows.values()];
    const at = rows.indexOf(document.activeElement as HTMLElement);
    const to = { ArrowDown: Math.min(at + 1, rows.length - 1), ArrowUp: at - 1, Home: 0, End: rows.length - 1 }[event.key];
    if (to === undefined || at < 0) return;
    event.preventDefault();
    if (to < 0) this.#search.focus();
    else rows[to]?.focus();
  }
}

function rowOf(id: string): HTMLElement {
  return el("a", { class: "row", href: `#/sessions/${encodeURIComponent(id)}`, title: id });
}

function fill(row: HTMLElement, { sessionId, isActive, messageCount, updatedAt, labels }: SessionSummary, isSelected: boolean): void {
  mark(row, isSelected);
  const state = isActive ? "running" : "idle";
  const texts = [sessionId, state, messageCount, age(updatedAt), JSON.stringify(labels)].join(" ");
  if (row.dataset["shown"] === texts) return;
  row.dataset["shown"] = texts;
  row.replaceChildren(
    el("span", { class: "dot", "data-active": String(isActive), role: "img", "aria-label": state }),
    el("span", { class: "mono" }, shortId(sessionId)),
    el("span", { class: "quiet" }, `${count(messageCount)} msg · ${age(updatedAt)}`),
    labelsOf(labels) ?? "",
  );
}

function mark(row: HTMLElement, isSelected: boolean): void {
  if (isSelected) row.setAttribute("aria-current", "true");
  else row.removeAttribute("aria-current");
}

/** @returns undefined when there are none */
export function labelsOf(labels: Readonly<Record<string, string>>): HTMLElement | undefined {
  const named = Object.entries(labels).map(([name, value]) => el("span", { class: "label" }, `${name}=${value}`));
  return named.length === 0 ? undefined : el("span", { class: "labels" }, ...named);
}
