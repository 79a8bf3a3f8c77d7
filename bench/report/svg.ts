/** Draws a chart as SVG text: white background, no animation, the same bytes for the same chart. */
import type { EChartsOption, TitleComponentOption } from "echarts";
import { init } from "echarts";

const WIDTH = 860;
const HEIGHT = 460;

const INK = "#24292f";
const GRID = "#e4e7eb";

/** What charts have in common. `echarts` lays text out by estimated widths here, so margins are wide. */
const COMMON: EChartsOption = {
  animation: false,
  backgroundColor: "#ffffff",
  textStyle: { fontFamily: "Helvetica, Arial, sans-serif", color: INK },
};

/** Both axes of a chart: dark labels, faint lines. */
export const AXIS = {
  nameLocation: "middle",
  nameTextStyle: { color: INK, fontSize: 13 },
  axisLabel: { color: INK, fontSize: 12 },
  axisLine: { show: true, lineStyle: { color: INK } },
  splitLine: { show: true, lineStyle: { color: GRID } },
} as const;

export function headline(title: string, subtitle: string): TitleComponentOption {
  return {
    text: title,
    subtext: subtitle,
    left: 20,
    top: 12,
    textStyle: { color: INK, fontSize: 17 },
    subtextStyle: { color: "#57606a", fontSize: 12 },
  };
}

export function drawSvg(option: EChartsOption): string {
  const chart = init(null, null, { renderer: "svg", ssr: true, width: WIDTH, height: HEIGHT, locale: "EN" });
  try {
    chart.setOption({ ...COMMON, ...option });
    return `${withoutProcess(chart.renderToSVGString())}\n`;
  } finally {
    chart.dispose();
  }
}

/** Names in the SVG count the charts and hover styles of this process. A picture in a page has no hover; the same chart shall be the same text. */
function withoutProcess(svg: string): string {
  return svg
    .replace(/<style[^]*<\/style>\n?/, "")
    .replaceAll(/ class="[^"]*"/g, "")
    .replaceAll(/\bzr\d+-/g, "zr-");
}
