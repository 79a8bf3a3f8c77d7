/** The agents that ship, as modules for a host's `agent` option. They are loaded inside lanes, by name; nothing here imports them. */
export const builtinAgents: { readonly echo: URL; readonly interpreter: URL } = {
  /** Answers with its prompt. */
  echo: new URL("./echo.js", import.meta.url),
  /** A JavaScript sandbox per session: a prompt is a program. */
  interpreter: new URL("./interpreter.js", import.meta.url),
};
