/** The page's one dialog: questions, one after another. */
import { byId, el } from "./dom.ts";

export interface Field {
  readonly name: string;
  readonly label: string;
  readonly kind?: "text" | "password" | "lines";
  readonly placeholder?: string;
  readonly isRequired?: boolean;
  readonly value?: string | undefined;
}

export interface Question {
  readonly title: string;
  readonly text?: string;
  readonly fields?: readonly Field[];
  /** Why it is asked once more. */
  readonly wrong?: string | undefined;
  readonly accept: string;
  readonly isDangerous?: boolean;
}

let last: Promise<unknown> = Promise.resolve();

/** @returns the fields by name; undefined: cancelled. Waits for the dialog that is open */
export function ask(question: Question): Promise<Record<string, string> | undefined> {
  const answer = last.then(() => show(question));
  last = answer;
  return answer;
}

export function isAsking(): boolean {
  return dialog().open;
}

function dialog(): HTMLDialogElement {
  return byId("dialog", HTMLDialogElement);
}

function show({ title, text, wrong, fields = [], accept, isDangerous = false }: Question): Promise<Record<string, string> | undefined> {
  const inputs = new Map(fields.map((field) => [field.name, inputOf(field)]));
  const form = el(
    "form",
    { method: "dialog" },
    el("h2", { id: "dialog-title" }, title),
    text === undefined ? undefined : el("p", { class: "quiet" }, text),
    wrong === undefined ? undefined : el("p", { class: "wrong", role: "alert" }, wrong),
    ...fields.map(({ name, label }) => el("label", {}, label, inputs.get(name))),
    el(
      "div",
      { class: "actions" },
      el("button", { type: "submit", value: "cancel", formnovalidate: true }, "Cancel"),
      el("button", { type: "submit", value: "accept", class: isDangerous ? "danger" : "primary" }, accept),
    ),
  );
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    const isLines = event.target instanceof HTMLTextAreaElement && !event.ctrlKey && !event.metaKey;
    if (isLines || event.target instanceof HTMLButtonElement) return;
    event.preventDefault(); // or the first button, which cancels, would be it
    form.requestSubmit(form.querySelector<HTMLButtonElement>('button[value="accept"]'));
  });
  const element = dialog();
  element.setAttribute("aria-labelledby", "dialog-title");
  element.replaceChildren(form);
  element.returnValue = "cancel";
  element.showModal();
  (inputs.values().next().value ?? form.querySelector<HTMLButtonElement>('button[value="accept"]'))?.focus();
  return new Promise((resolve) => {
    element.addEventListener(
      "close",
      () => {
        const values = Object.fromEntries([...inputs].map(([name, input]) => [name, input.value]));
        element.replaceChildren();
        resolve(element.returnValue === "accept" ? values : undefined);
      },
      { once: true },
    );
  });
}

function inputOf({ name, kind = "text", placeholder, isRequired = false, value = "" }: Field): HTMLInputElement | HTMLTextAreaElement {
  const attributes = { name, placeholder, required: isRequired, autocomplete: "off", spellcheck: "false" };
  const input = kind === "lines" ? el("textarea", { ...attributes, rows: 5 }) : el("input", { ...attributes, type: kind });
  input.value = value;
  return input;
}

/** Something to read. */
export function tell(title: string, content: HTMLElement): void {
  if (isAsking()) return;
  const element = dialog();
  element.setAttribute("aria-labelledby", "dialog-title");
  const close = el("button", { type: "submit", value: "cancel", class: "primary" }, "Close");
  element.replaceChildren(
    el("form", { method: "dialog" }, el("h2", { id: "dialog-title" }, title), content, el("div", { class: "actions" }, close)),
  );
  element.showModal();
  close.focus();
}
