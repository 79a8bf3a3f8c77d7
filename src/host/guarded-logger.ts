/** A logger is the operator's code; what it throws must not reach what it is told about. */
import type { Logger } from "../protocol/options.ts";

/** @returns the logger with its exceptions swallowed */
export function guardedLogger(logger: Logger): Logger {
  const guard = (level: keyof Logger) => (fields: Record<string, unknown>, message: string) => {
    try {
      logger[level](fields, message);
    } catch {
      // there is nobody else to tell
    }
  };
  return { info: guard("info"), warn: guard("warn"), error: guard("error") };
}
