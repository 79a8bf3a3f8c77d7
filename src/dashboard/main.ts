/** The dashboard: an overview of the host, a list of sessions, and the one that its address names. */
import { Connection } from "./connection.ts";
import { ask } from "./dialogs.ts";
import { byId } from "./dom.ts";
import { messageOf } from "./format.ts";
import { parseLabels } from "./labels.ts";
import { Overview } from "./overview.ts";
import { SessionList } from "./session-list.ts";
import { SessionPane } from "./session-pane.ts";
import type { Shortcut } from "./shortcuts.ts";
import { listen, showShortcuts } from "./shortcuts.ts";
import { initTheme, toggleTheme } from "./theme.ts";

const HOME = "#/";
/** The last one that was asked for. */
const AGENT = "warren.agent";
const ADDRESS = /^#\/sessions\/(.+)$/;

const connection = new Connection();
const overview = new Overview(connection);
const list = new SessionList(connection);
let pane: SessionPane | undefined;

/** The session that the address names. */
function addressed(): string | undefined {
  const id = ADDRESS.exec(location.hash)?.[1];
  if (id === undefined) return undefined;
  try {
    return decodeURIComponent(id);
  } catch {
    return id; // written by hand; there is no such session
  }
}

/** Show what the address names. */
function route(): void {
  const wanted = addressed();
  if (wanted === pane?.id && wanted !== undefined) return;
  pane?.leave();
  pane = wanted === undefined ? undefined : new SessionPane(wanted, connection, () => (location.hash = HOME));
  byId("overview", HTMLElement).hidden = pane !== undefined;
  byId("session", HTMLElement).hidden = pane === undefined;
  document.body.dataset["view"] = pane === undefined ? "overview" : "session";
  document.title = wanted === undefined ? "Warren" : `${wanted.slice(-6)} · Warren`;
  list.select(wanted);
  if (pane === undefined) overview.redraw();
  else pane.focusPrompt();
}

/** Asked again, with what was written, as long as the server refuses it. */
async function create(): Promise<void> {
  let values: Record<string, string> | undefined = {};
  for (let wrong: string | undefined; ;) {
    values = await ask({
      title: "New session",
      wrong,
      fields: [
        { name: "agent", label: "Agent (needed when the host has several)", value: values["agent"] ?? sessionStorage.getItem(AGENT) ?? "" },
        { name: "labels", label: "Labels", placeholder: "user=ada, topic=letters", value: values["labels"] },
        { name: "prompt", label: "Prompt (empty: nothing runs yet)", kind: "lines", value: values["prompt"] },
      ],
      accept: "Create",
    });
    if (values === undefined) return;
    try {
      const sessionId = await createFrom(values);
      location.hash = `#/sessions/${encodeURIComponent(sessionId)}`;
      break;
    } catch (error) {
      wrong = messageOf(error);
    }
  }
  route();
  await pane?.start(values["prompt"] ?? "");
}

async function createFrom(values: Readonly<Record<string, string>>): Promise<string> {
  const { labels, rest } = parseLabels(values["labels"] ?? "");
  if (rest !== "") throw new Error(`Labels are name=value: ${rest}`);
  const agent = values["agent"]?.trim() ?? "";
  const request = { initialTurn: "defer", labels, ...(agent !== "" && { agent }) } as const;
  const { sessionId } = await connection.call((client) => client.createSession(request));
  sessionStorage.setItem(AGENT, agent);
  return sessionId;
}

const theme = (): void => {
  toggleTheme();
  overview.redraw();
};
const shortcuts: Shortcut[] = [
  { key: "n", text: "New session", run: () => void create() },
  { key: "/", text: "Search", run: () => list.focusSearch() },
  { key: "l", text: "List of sessions", run: () => list.focusRow(0) },
  { key: "o", text: "Overview", run: () => (location.hash = HOME) },
  { key: "p", text: "Prompt", run: () => pane?.focusPrompt() },
  { key: "i", text: "Interrupt the running turn", run: () => void pane?.interrupt() },
  { key: "a", text: "Archive the session", run: () => void pane?.archive() },
  { key: "t", text: "Light or dark", run: theme },
  { key: "?", text: "This list", run: () => showShortcuts(shortcuts) },
];

initTheme(() => overview.redraw());
listen(shortcuts);
byId("new-session", HTMLElement).addEventListener("click", () => void create());
byId("theme", HTMLElement).addEventListener("click", theme);
byId("help", HTMLElement).addEventListener("click", () => showShortcuts(shortcuts));
addEventListener("hashchange", () => {
  route();
  void list.refresh();
});
route();
void overview.run();
void list.run();
