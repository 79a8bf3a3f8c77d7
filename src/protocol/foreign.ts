/** Looking at values that somebody else made: a proxy may refuse even `instanceof` and `String()`. */

/** `instanceof` that never throws. */
export function isInstance<T>(value: unknown, type: abstract new (...args: never[]) => T): value is T {
  try {
    return value instanceof type;
  } catch {
    return false;
  }
}

/** `String()` that never throws. */
export function textOf(value: unknown): string {
  try {
    return String(value);
  } catch {
    return "what cannot be described";
  }
}
