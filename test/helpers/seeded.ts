/** Random choices that follow from a seed. CRASH_SEED sets where they begin; whatever fails names it. */
export const CRASH_SEED = Number(process.env["CRASH_SEED"] ?? Date.now() % 1_000_000_000);

/** @returns numbers from 0 to 1, following from the seed */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 0x1_0000_0000;
}
