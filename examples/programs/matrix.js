// Matrices: product, power, determinant by exact fractions, Gauss elimination in a finite field.
// variant: { size: 12, seed: 3 }
// variant: { size: 30, seed: 5 }
// variant: { size: 45, seed: 11 }
// variant: { size: 60, seed: 17 }
// --- turn
const identity = (n) => Array.from({ length: n }, (_, i) => Array.from({ length: n }, (_, j) => +(i === j)));
const multiply = (a, b) => a.map((row) => b[0].map((_, j) => row.reduce((sum, x, k) => sum + x * b[k][j], 0)));
multiply(
  [
    [1, 2],
    [3, 4],
  ],
  [
    [0, 1],
    [1, 0],
  ],
);
// --- turn
function power(matrix, exponent, times = multiply) {
  let result = identity(matrix.length),
    base = matrix;
  for (let e = exponent; e > 0; e >>= 1) {
    if (e & 1) result = times(result, base);
    base = times(base, base);
  }
  return result;
}
`F(50) = ${
  power(
    [
      [1, 1],
      [1, 0],
    ],
    50,
  )[0][1]
}`;
// --- turn
const P = 10007;
const modulo = (x) => ((x % P) + P) % P;
const inverse = (x) => {
  let r = 1,
    b = modulo(x);
  for (let e = P - 2; e > 0; e >>= 1) {
    if (e & 1) r = (r * b) % P;
    b = (b * b) % P;
  }
  return r;
};
const multiplyMod = (a, b) => multiply(a, b).map((row) => row.map(modulo));
let seed = PARAM.seed;
const random = () => (seed = (seed * 48271) % 2147483647) % P;
const A = Array.from({ length: PARAM.size }, () => Array.from({ length: PARAM.size }, random));
`trace ${A.reduce((sum, row, i) => modulo(sum + row[i]), 0)}, corner ${A[0].slice(0, 4).join(" ")}`;
// --- turn
function invert(matrix) {
  const n = matrix.length,
    work = matrix.map((row, i) => [...row, ...identity(n)[i]]);
  let determinant = 1;
  for (let c = 0; c < n; c += 1) {
    const pivot = work.findIndex((row, r) => r >= c && row[c] !== 0);
    if (pivot < 0) return { determinant: 0, inverse: null };
    if (pivot !== c) {
      [work[c], work[pivot]] = [work[pivot], work[c]];
      determinant = modulo(-determinant);
    }
    determinant = (determinant * work[c][c]) % P;
    const scale = inverse(work[c][c]);
    work[c] = work[c].map((x) => (x * scale) % P);
    for (let r = 0; r < n; r += 1) {
      const factor = work[r][c];
      if (r !== c && factor) work[r] = work[r].map((x, k) => modulo(x - factor * work[c][k]));
    }
  }
  return { determinant, inverse: work.map((row) => row.slice(n)) };
}
const inverted = invert(A);
`determinant ${inverted.determinant} in the field of ${P}`;
// --- turn
const product = multiplyMod(A, inverted.inverse);
`A times its inverse is the identity: ${JSON.stringify(product) === JSON.stringify(identity(PARAM.size))}`;
// --- turn
const cube = power(A, 3, multiplyMod);
console.log("corner of the cube:", cube[0].slice(0, 3));
`determinant of the cube: ${invert(cube).determinant}, expected ${inverted.determinant ** 3 % P}`;
// --- turn
// expect-error: AGENT_ERROR
multiply(A, undefined);
// --- turn
`still ${A.length} rows`;
