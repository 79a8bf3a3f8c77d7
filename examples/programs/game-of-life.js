// Conway's Game of Life on a torus.
// variant: { size: 12, generations: 40, cells: [[1, 0], [2, 1], [0, 2], [1, 2], [2, 2]] }
// variant: { size: 32, generations: 60, cells: [[15, 14], [16, 14], [14, 15], [15, 15], [15, 16]] }
// variant: { size: 48, generations: 50, cells: [[20, 20], [21, 20], [21, 22], [23, 21], [24, 20], [25, 20], [26, 20]] }
// --- turn
const { size } = PARAM;
const empty = () => new Uint8Array(size * size);
const at = (x, y) => ((y + size) % size) * size + ((x + size) % size);
let world = empty();
for (const [x, y] of PARAM.cells) world[at(x, y)] = 1;
const alive = (grid) => grid.reduce((sum, cell) => sum + cell, 0);
`${alive(world)} alive on ${size} x ${size}`;
// --- turn
function step(grid) {
  const next = empty();
  for (let y = 0; y < size; y += 1) {
    for (let x = 0; x < size; x += 1) {
      let around = 0;
      for (let dy = -1; dy <= 1; dy += 1) for (let dx = -1; dx <= 1; dx += 1) if (dx || dy) around += grid[at(x + dx, y + dy)];
      next[at(x, y)] = +(around === 3 || (around === 2 && grid[at(x, y)] === 1));
    }
  }
  return next;
}
const blinker = empty();
for (const x of [4, 5, 6]) blinker[at(x, 5)] = 1;
`a blinker has period two: ${step(step(blinker)).join() === blinker.join()}, and not one: ${step(blinker).join() !== blinker.join()}`;
// --- turn
const history = [alive(world)];
for (let i = 0; i < PARAM.generations; i += 1) {
  world = step(world);
  history.push(alive(world));
}
history;
// --- turn
const picture = (grid) => {
  const rows = Array.from({ length: size }, (_, y) => Array.from({ length: size }, (_, x) => (grid[at(x, y)] ? "#" : ".")).join(""));
  return rows.filter((row) => row.includes("#")).join("\n");
};
picture(world);
// --- turn
const seen = new Map();
let period = null;
for (let i = 0; i < 60 && period === null; i += 1) {
  const key = world.join("");
  if (seen.has(key)) period = i - seen.get(key);
  seen.set(key, i);
  world = step(world);
}
period === null ? "no repetition within 60 generations" : `repeats every ${period}`;
// --- turn
world = world.map((cell) => 1 - cell);
console.log("inverted:", alive(world));
world = step(world);
`one generation later: ${alive(world)}`;
