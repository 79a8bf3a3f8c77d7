/** One turn's restriction of an agent's tools: allow-lists intersect, deny beats allow, unknown names are refused. */
import type { ToolOverlay } from "../protocol/session-model.ts";

/**
 * @param tools - every tool the agent has
 * @returns the tools visible under the overlay, in the agent's order, or the name that no tool has
 */
export function applyOverlay(
  tools: readonly string[],
  overlay: ToolOverlay | undefined,
): { ok: true; visible: readonly string[] } | { ok: false; unknown: string } {
  if (overlay === undefined) return { ok: true, visible: tools };
  const { allowedTools, blockedTools } = overlay;
  const unknown = [...(allowedTools ?? []), ...(blockedTools ?? [])].find((name) => !tools.includes(name));
  if (unknown !== undefined) return { ok: false, unknown };
  return { ok: true, visible: tools.filter((name) => (allowedTools?.includes(name) ?? true) && !blockedTools?.includes(name)) };
}
