// The Mandelbrot set in characters, its area, and a zoom.
// variant: { width: 40, height: 16, iterations: 60 }
// variant: { width: 64, height: 24, iterations: 150 }
// variant: { width: 72, height: 30, iterations: 300 }
// --- turn
function escapes(cx, cy, limit) {
  let x = 0,
    y = 0;
  for (let i = 0; i < limit; i += 1) {
    const xx = x * x,
      yy = y * y;
    if (xx + yy > 4) return i;
    y = 2 * x * y + cy;
    x = xx - yy + cx;
  }
  return limit;
}
[
  [0, 0],
  [1, 0],
  [-1, 0],
  [0.5, 0.5],
  [-2, 0],
].map(([x, y]) => escapes(x, y, PARAM.iterations));
// --- turn
const shades = " .:-=+*#%@";
function draw({ x0, x1, y0, y1 }) {
  const { width, height, iterations } = PARAM,
    lines = [];
  for (let row = 0; row < height; row += 1) {
    let line = "";
    for (let column = 0; column < width; column += 1) {
      const n = escapes(x0 + ((x1 - x0) * (column + 0.5)) / width, y0 + ((y1 - y0) * (row + 0.5)) / height, iterations);
      line += n === iterations ? "@" : shades[n % 9];
    }
    lines.push(line);
  }
  return lines;
}
const whole = draw({ x0: -2.2, x1: 0.8, y0: -1.25, y1: 1.25 });
whole.join("\n");
// --- turn
`mirrored top to bottom: ${whole.every((line, i) => line === whole[whole.length - 1 - i])}`;
// --- turn
const inside = whole.join("").split("@").length - 1;
`area about ${((inside * 3 * 2.5) / (PARAM.width * PARAM.height)).toFixed(3)}`;
// --- turn
let view = { x0: -2.2, x1: 0.8, y0: -1.25, y1: 1.25 };
for (let i = 0; i < 4; i += 1) {
  const cx = -0.743643,
    cy = 0.131825,
    shrink = 0.35;
  view = {
    x0: cx + (view.x0 - cx) * shrink,
    x1: cx + (view.x1 - cx) * shrink,
    y0: cy + (view.y0 - cy) * shrink,
    y1: cy + (view.y1 - cy) * shrink,
  };
  console.log(i + 1, draw(view).join("").split("@").length - 1);
}
`width of the view ${(view.x1 - view.x0).toFixed(5)}`;
// --- turn
const histogram = {};
for (const c of draw(view).join("")) histogram[c] = (histogram[c] ?? 0) + 1;
Object.entries(histogram)
  .sort(([a], [b]) => (a < b ? -1 : 1))
  .map(([c, n]) => `${c}${n}`)
  .join(" ");
