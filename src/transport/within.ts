/** Wait for something, but not for ever. */

/** @returns true when `work` settled in time; its rejection counts as settled. @param ms - milliseconds */
export async function within(work: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => (timer = setTimeout(() => resolve(false), ms)));
  const settled = (): boolean => true;
  const isInTime = await Promise.race([work.then(settled, settled), late]);
  clearTimeout(timer);
  return isInTime;
}
