/** Random choices that follow from a seed. */
export type Random = () => number;

/** @returns numbers from 0 to 1, following from the seed */
export function randomOf(seed: number): Random {
  let state = seed >>> 0;
  return () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 0x1_0000_0000;
}

/** @returns a whole number below `limit` */
export const below = (random: Random, limit: number): number => Math.floor(random() * limit);

/** @returns one of the keys, as often as its weight says */
export function weighted<K extends string>(random: Random, weights: Readonly<Record<K, number>>): K {
  const entries = Object.entries(weights) as [K, number][];
  let left = random() * entries.reduce((sum, [, weight]) => sum + weight, 0);
  for (const [key, weight] of entries) if ((left -= weight) < 0) return key;
  return (entries[0] as [K, number])[0];
}
