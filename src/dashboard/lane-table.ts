/** Lanes and their load, one row each. */
import type { HostReport, LaneSnapshot } from "../client/index.ts";
import { byId, el, setText } from "./dom.ts";
import { count, mebibytes, percent, rough } from "./format.ts";

export class LaneTable {
  readonly #rows = byId("lane-rows", HTMLElement);
  readonly #note = byId("lanes-note", HTMLElement);

  show({ lanes, lanesDown, lanesLost }: HostReport): void {
    const down = lanesDown.map(({ lane, reason, startsInMs }) => {
      const when = startsInMs === undefined ? "not started again" : `starts in ${rough(startsInMs / 1000)} s`;
      return el("tr", {}, head(String(lane)), el("td", { colspan: 7 }, `down (${reason.replace("_", " ")}): ${when}`));
    });
    this.#rows.replaceChildren(...lanes.map(rowOf), ...down);
    this.#note.hidden = lanesLost === 0;
    setText(this.#note, `${count(lanesLost)} threads were lost since the host was opened.`);
  }
}

function head(text: string): HTMLElement {
  return el("th", { scope: "row" }, text);
}

function rowOf(lane: LaneSnapshot): HTMLElement {
  const { recentUtilization, memory, sessions, runningTurns, settledTurns, failedTurns } = lane;
  return el(
    "tr",
    {},
    head(`${lane.lane}${lane.kind === "dedicated" ? " (dedicated)" : ""}`),
    el("td", {}, lane.state),
    recentUtilization === undefined ? el("td", {}, "–") : gauge(recentUtilization, 1, percent(recentUtilization)),
    memory === undefined
      ? el("td", {}, "–")
      : gauge(memory.heapUsed, memory.heapLimit, `${mebibytes(memory.heapUsed)} of ${mebibytes(memory.heapLimit)}`),
    ...[sessions, runningTurns, settledTurns, failedTurns].map((value) => el("td", { class: "number" }, count(value))),
  );
}

function gauge(value: number, max: number, text: string): HTMLElement {
  return el("td", {}, el("meter", { min: 0, max, value, high: max * 0.85, "aria-label": text }), ` ${text}`);
}
