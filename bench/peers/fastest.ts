/** Peers in their best configuration: each is tried under the load it will get. */

/**
 * @param configurations - what to try, by the name the results give it
 * @param score - how good an open one is; the highest is kept open, the others are closed
 */
export async function pickFastest<C, P extends { close(): Promise<void> }>(
  configurations: Readonly<Record<string, C>>,
  open: (configuration: C) => Promise<P>,
  score: (peer: P) => Promise<number>,
): Promise<{ peer: P; setup: string }> {
  let best: { peer: P; setup: string; points: number } | undefined;
  for (const [setup, configuration] of Object.entries(configurations)) {
    const peer = await open(configuration);
    const points = await score(peer);
    if (best !== undefined && best.points >= points) {
      await peer.close();
      continue;
    }
    await best?.peer.close();
    best = { peer, setup, points };
  }
  if (best === undefined) throw new Error("no configuration to try");
  return best;
}
