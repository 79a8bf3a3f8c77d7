/**
 * The runtimes of a service, by the service itself: the same for as long as it lives, no other's, and collected with it. What they hold of
 * their service does not keep it, since nobody but the service is asked for them.
 */
import type { SessionRuntimes } from "../runtime/session-runtimes.ts";

const byService = new WeakMap<object, SessionRuntimes>();

/** @returns those that have been made, if any */
export function runtimesOf(service: object): SessionRuntimes | undefined {
  return byService.get(service);
}

/** @param make - called when there are none yet */
export function makeRuntimesOf(service: object, make: () => SessionRuntimes): SessionRuntimes {
  const known = byService.get(service);
  if (known !== undefined) return known;
  const made = make();
  byService.set(service, made);
  return made;
}
