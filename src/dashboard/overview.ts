/** The host, looked at once a second while somebody sees the page: figures, lanes, charts. */
import type { HostReport } from "../client/index.ts";
import type { Connection } from "./connection.ts";
import { statusOf } from "./connection.ts";
import { byId, el, setText, sleep, whenVisible } from "./dom.ts";
import { count, messageOf, milliseconds, rough } from "./format.ts";
import { LaneTable } from "./lane-table.ts";
import { LiveChart } from "./live-chart.ts";
import type { Look } from "./rates.ts";
import { sampleOf } from "./rates.ts";

const EVERY_MS = 1000;
/** Without the right to look at the host. */
const SELDOM_MS = 15_000;

export class Overview {
  readonly #connection: Connection;
  readonly #health = byId("health", HTMLElement);
  readonly #figures = byId("figures", HTMLElement);
  readonly #lanes = new LaneTable();
  readonly #throughput = new LiveChart(
    "Turns a second",
    [
      { name: "settled", colour: 1 },
      { name: "failed", colour: 2 },
    ],
    rough,
  );
  readonly #latency = new LiveChart(
    "Latency of a turn",
    [
      { name: "p50", colour: 1 },
      { name: "p99", colour: 2 },
    ],
    milliseconds,
  );
  #before: Look | undefined;

  constructor(connection: Connection) {
    this.#connection = connection;
    byId("charts", HTMLElement).append(this.#throughput.element, this.#latency.element);
  }

  /** For as long as the page lives. */
  async run(): Promise<void> {
    for (;;) {
      await whenVisible();
      const startedMs = performance.now();
      const isAllowed = await this.#look();
      await sleep(Math.max(100, (isAllowed ? EVERY_MS : SELDOM_MS) - (performance.now() - startedMs)));
    }
  }

  redraw(): void {
    this.#throughput.draw();
    this.#latency.draw();
  }

  async #look(): Promise<boolean> {
    try {
      this.#show({ atMs: Date.now(), report: await this.#connection.call((client) => client.host()) });
    } catch (error) {
      this.#before = undefined;
      if (statusOf(error) === 403 || statusOf(error) === 401) {
        this.#badge("no view of the host", "warn");
        return false;
      }
      this.#badge("not reachable", "bad");
      this.#health.title = messageOf(error);
    }
    return true;
  }

  #show(look: Look): void {
    const { report } = look;
    const sample = sampleOf(look, this.#before);
    this.#before = look;
    if (report.state === "open") this.#badge(report.health, report.health === "ok" ? "good" : "warn");
    else this.#badge(report.state, "warn");
    this.#showFigures(report, sample.turnsPerS);
    this.#lanes.show(report);
    this.#throughput.push(sample.atS, [sample.turnsPerS, sample.failedPerS]);
    this.#latency.push(sample.atS, [sample.typicalMs, sample.slowMs], sample.isMeasured ? [] : ["mean, estimated", ""]);
  }

  #showFigures({ sessions, turns, subscribers, store }: HostReport, turnsPerS: number | undefined): void {
    const figures: [string, string][] = [
      ["Sessions", count(sessions.live)],
      ["Running", count(turns.running)],
      ["Waiting", count(turns.waiting)],
      ["Turns/s", turnsPerS === undefined ? "–" : rough(turnsPerS)],
      ["Followers", count(subscribers)],
    ];
    if (store !== undefined) figures.push(["Store", `${store.kind}, ${store.state}`]);
    this.#figures.replaceChildren(...figures.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
  }

  #badge(text: string, tone: "good" | "warn" | "bad"): void {
    setText(this.#health, text);
    this.#health.dataset["tone"] = tone;
    this.#health.title = "";
  }
}
