/** What a call ended with, in words that are the same in every run. */
import { SessionError } from "../../dist/src/index.js";

/** Longest message shown. */
const MESSAGE_MAX = 60;

/** @returns code, kind and what else a program can test; the agent's own message where it is short */
export function errorWords(error: unknown): string {
  if (!(error instanceof SessionError)) return `NOT A SESSION ERROR: ${String(error)}`;
  const { code, agentError, details } = error;
  const reason = details?.["reason"];
  if (agentError === undefined) return typeof reason === "string" ? `\`${code}\` (${reason})` : `\`${code}\``;
  const { kind, message } = agentError;
  if (kind === "lane_lost") return `\`lane_lost\` (${String(details?.["outcome"])})`.replace("_committed", " committed");
  if (kind === "cancelled") return "`cancelled`";
  // What V8 says is not the same in all its versions.
  const { name } = (agentError.details ?? {}) as { name?: string };
  if (name === "TypeError" || name === "RangeError") return `\`${kind}\`, a ${name}`;
  return `\`${kind}\`${shown(message.replaceAll(/\s+/g, " "))}`;
}

function shown(message: string): string {
  if (message.length > MESSAGE_MAX) return ", its message cut";
  return `: “${message.replaceAll("|", "\\|")}”`;
}
