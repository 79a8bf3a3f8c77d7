/** Keys for everything, listed under "?". They do nothing while somebody writes, or a dialog is open. */
import { isAsking, tell } from "./dialogs.ts";
import { el } from "./dom.ts";

export interface Shortcut {
  /** As `KeyboardEvent.key` says. */
  readonly key: string;
  readonly text: string;
  readonly run: () => void;
}

/** Keys that belong to a field or a list. */
const ELSEWHERE: readonly (readonly [string, string])[] = [
  ["Ctrl+Enter", "Start a turn, in the prompt"],
  ["↑ ↓", "Walk through the sessions, in the list"],
  ["Enter", "Open the session"],
  ["Esc", "Leave a field, so that these keys work"],
];

export function listen(shortcuts: readonly Shortcut[]): void {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || isAsking()) return;
    const isWriting = event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement;
    if (isWriting) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const shortcut = shortcuts.find(({ key }) => key === event.key);
    if (shortcut === undefined) return;
    event.preventDefault();
    shortcut.run();
  });
}

export function showShortcuts(shortcuts: readonly Shortcut[]): void {
  const rows = [...shortcuts.map(({ key, text }) => [key, text] as const), ...ELSEWHERE];
  tell(
    "Keyboard shortcuts",
    el("dl", { class: "keys" }, ...rows.flatMap(([key, text]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, text)])),
  );
}
