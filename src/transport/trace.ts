/** Frame trace: with WARREN_TRACE=1, one JSON line on stderr for every frame that main sends or receives. */
const isOn = process.env["WARREN_TRACE"] === "1";

/** @param lane - the lane's name */
export function traceFrame(direction: "sent" | "received", lane: string, bytes: number, records: number): void {
  if (!isOn) return;
  process.stderr.write(`${JSON.stringify({ ms: Math.round(performance.now() * 1000) / 1000, direction, lane, bytes, records })}\n`);
}
