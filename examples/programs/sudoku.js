// Sudoku by constraint bits and fewest-candidates search.
// variant: "530070000600195000098000060800060003400803001700020006060000280000419005000080079"
// variant: "003020600900305001001806400008102900700000008006708200002609500800203009005010300"
// variant: "000000907000420180000705026100904000050000040000507009920108000034059000507000000"
// variant: "800000000003600000070090200050007000000045700000100030001000068008500010090000400"
// --- turn
const parse = (text) => [...text].map(Number);
const show = (cells) =>
  Array.from({ length: 9 }, (_, r) =>
    cells
      .slice(r * 9, r * 9 + 9)
      .map((d) => d || ".")
      .join(""),
  ).join("\n");
const grid = parse(PARAM);
console.log(show(grid));
`${grid.filter(Boolean).length} givens`;
// --- turn
const boxOf = (i) => Math.floor(i / 27) * 3 + Math.floor((i % 9) / 3);
class Board {
  constructor(cells) {
    this.cells = Array(81).fill(0);
    this.used = { row: Array(9).fill(0), column: Array(9).fill(0), box: Array(9).fill(0) };
    this.steps = 0;
    cells.forEach((digit, i) => digit && this.put(i, digit));
  }
  toggle(i, digit) {
    const bit = 1 << digit;
    this.used.row[Math.floor(i / 9)] ^= bit;
    this.used.column[i % 9] ^= bit;
    this.used.box[boxOf(i)] ^= bit;
  }
  put(i, digit) {
    this.cells[i] = digit;
    this.toggle(i, digit);
  }
  clear(i) {
    this.toggle(i, this.cells[i]);
    this.cells[i] = 0;
  }
  candidates(i) {
    const used = this.used.row[Math.floor(i / 9)] | this.used.column[i % 9] | this.used.box[boxOf(i)];
    return [1, 2, 3, 4, 5, 6, 7, 8, 9].filter((digit) => !(used & (1 << digit)));
  }
}
const board = new Board(grid);
`first empty cell may be ${board.candidates(grid.indexOf(0)).join(" or ")}`;
// --- turn
Board.prototype.solve = function () {
  let best = -1,
    fewest = null;
  for (let i = 0; i < 81; i += 1) {
    if (this.cells[i]) continue;
    const options = this.candidates(i);
    if (!fewest || options.length < fewest.length) [best, fewest] = [i, options];
  }
  if (best < 0) return true;
  for (const digit of fewest) {
    this.steps += 1;
    this.put(best, digit);
    if (this.solve()) return true;
    this.clear(best);
  }
  return false;
};
`${board.solve()} after ${board.steps} steps`;
// --- turn
show(board.cells);
// --- turn
const units = { row: (i) => Math.floor(i / 9), column: (i) => i % 9, box: boxOf };
const complete = Object.entries(units).map(([name, unit]) => {
  const sums = Array.from({ length: 9 }, () => new Set());
  board.cells.forEach((digit, i) => sums[unit(i)].add(digit));
  return `${name} ${sums.every((set) => set.size === 9)}`;
});
const kept = grid.every((digit, i) => digit === 0 || digit === board.cells[i]);
`${complete.join(", ")}, givens kept ${kept}`;
// --- turn
const broken = new Board(grid);
const hole = grid.indexOf(0);
const wrong = broken.candidates(hole).find((digit) => digit !== board.cells[hole]) ?? 0;
if (wrong) broken.put(hole, wrong);
`with ${wrong} in cell ${hole}: ${wrong ? broken.solve() : "no other candidate"}`;
