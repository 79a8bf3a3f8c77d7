/**
 * @param signal - of what this is part of; both are dropped together
 * @returns a controller that aborts when the signal does, and can be aborted alone. `AbortSignal.any` would do, but on Node 20 what it makes
 *   stays in memory
 */
export function controllerUnder(signal: AbortSignal): AbortController {
  const controller = new AbortController();
  const follow = (): void => controller.abort(signal.reason);
  if (signal.aborted) follow();
  else signal.addEventListener("abort", follow, { once: true });
  return controller;
}
