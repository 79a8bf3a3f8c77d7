/** The text event of every agent, known at a look: it is nearly all the traffic there is. */

/** @returns the delta of `{ type: "text_delta", delta }` with nothing else in it; each member is read once */
export function textDelta(event: object): string | undefined {
  if (Object.getPrototypeOf(event) !== Object.prototype) return undefined;
  let members = 0;
  for (const _ in event) if (++members > 2) return undefined;
  const { type, delta } = event as { type?: unknown; delta?: unknown };
  return type === "text_delta" && typeof delta === "string" && members === 2 ? delta : undefined;
}
