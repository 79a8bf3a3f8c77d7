/** A chart of the last five minutes, with what it says in words beside it. */
import uPlot from "uplot";

import { el, setText } from "./dom.ts";
import { clock } from "./format.ts";

const POINTS = 300;
const HEIGHT = 180;

export interface Series {
  readonly name: string;
  /** 1 or 2: its colour. */
  readonly colour: 1 | 2;
}

export class LiveChart {
  readonly element: HTMLElement;
  readonly #plotHost = el("div", { class: "plot", "aria-hidden": "true" });
  readonly #colours: HTMLElement[];
  readonly #words: HTMLElement[];
  readonly #series: readonly Series[];
  readonly #format: (value: number) => string;
  readonly #data: (number | null)[][];
  #plot: uPlot | undefined;

  constructor(title: string, series: readonly Series[], format: (value: number) => string) {
    this.#series = series;
    this.#format = format;
    this.#data = [[], ...series.map(() => [])];
    this.#words = series.map(({ colour }) => el("span", { class: `series series-${colour}` }));
    this.#colours = [...series.map(({ colour }) => `series-${colour}`), "axis", "grid"].map((name) => el("i", { class: `swatch ${name}` }));
    this.element = el(
      "figure",
      { class: "card" },
      el("figcaption", {}, el("h2", {}, title), ...this.#words),
      this.#plotHost,
      ...this.#colours,
    );
    new ResizeObserver(() => this.#resize()).observe(this.#plotHost);
  }

  /** @param values - of the series, in their order. @param names - in place of theirs; "": there is no such series now */
  push(atS: number, values: readonly (number | undefined)[], names: readonly string[] = []): void {
    [atS, ...values].forEach((value, index) => {
      const column = this.#data[index] as (number | null)[];
      column.push(value ?? null);
      if (column.length > POINTS) column.shift();
    });
    this.#words.forEach((word, index) => {
      const value = values[index];
      word.hidden = names[index] === "";
      setText(word, `${names[index] ?? this.#series[index]?.name}: ${value === undefined ? "–" : this.#format(value)}`);
    });
    if (this.#plot === undefined) this.draw();
    else this.#plot.setData(this.#data as uPlot.AlignedData);
  }

  /** Anew, in the colours of the scheme. */
  draw(): void {
    const width = this.#plotHost.clientWidth;
    this.#plot?.destroy();
    this.#plot = undefined;
    if (width === 0) return;
    const colours = this.#colours.map((swatch) => getComputedStyle(swatch).color);
    const [axis = "gray", grid = "gray"] = colours.slice(this.#series.length);
    const axes = { stroke: axis, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1 } };
    this.#plot = new uPlot(
      {
        width,
        height: HEIGHT,
        legend: { show: false },
        cursor: { show: false },
        padding: [8, 32, 0, 0],
        scales: {
          x: { range: (_, from, to) => [Math.min(from ?? 0, (to ?? 0) - 60), to ?? 1] },
          y: { range: (_, __, to) => [0, Math.max(to ?? 0, 1) * 1.1] },
        },
        axes: [
          { ...axes, space: 80, size: 32, values: (_, ticks) => ticks.map((tick) => clock(tick * 1000)) },
          { ...axes, size: 68, values: (_, ticks) => ticks.map((tick) => this.#format(tick)) },
        ],
        series: [
          {},
          ...this.#series.map(({ name }, index) => ({
            label: name,
            stroke: colours[index] ?? "gray",
            width: 2,
            spanGaps: true,
            points: { show: false },
          })),
        ],
      },
      this.#data as uPlot.AlignedData,
      this.#plotHost,
    );
  }

  #resize(): void {
    const width = this.#plotHost.clientWidth;
    if (width > 0 && this.#plot !== undefined) this.#plot.setSize({ width, height: HEIGHT });
    else if (width > 0 && (this.#data[0]?.length ?? 0) > 0) this.draw();
  }
}
