/// <reference lib="dom" />
/** Elements made and found. Text is always set as text: nothing a session says is ever read as HTML. */

type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;
type Child = Node | string | undefined;

/** @param attributes - false and undefined: left out; true: without a value */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children) if (child !== undefined) element.append(child);
  return element;
}

/** @throws Error when the page has none of that kind */
export function byId<T extends HTMLElement>(id: string, kind: new () => T): T {
  const element = document.getElementById(id);
  if (!(element instanceof kind)) throw new Error(`the page has no ${kind.name} called ${id}`);
  return element;
}

/** A button that does something, which may fail. */
export function button(text: string, attributes: Attributes, onClick: () => void | Promise<void>): HTMLButtonElement {
  const element = el("button", { type: "button", ...attributes }, text);
  element.addEventListener("click", () => void onClick());
  return element;
}

/** Set only what is different, so that nothing is drawn or read out for nothing. */
export function setText(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Waits until somebody can see the page. */
export async function whenVisible(): Promise<void> {
  while (document.hidden) {
    await new Promise<void>((resolve) => document.addEventListener("visibilitychange", () => resolve(), { once: true }));
  }
}
