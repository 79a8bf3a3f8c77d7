/** Small questions about a value of unknown origin: what stored rows and frames are checked with. A schema says more, and costs more. */

export const isText = (value: unknown): value is string => typeof value === "string";
/** A whole number from 0 on that is exact. */
export const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
/** Epoch milliseconds. */
export const isTime = (value: unknown): value is number => Number.isFinite(value) && (value as number) >= 0;
/** Members by name and nothing else: no list, no date, no bytes. */
export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
/** A list each of whose members is one. */
export const isListOf = (value: unknown, is: (member: unknown) => boolean): boolean => Array.isArray(value) && value.every(is);
/** A record each of whose members is one. */
export const isRecordOf = (value: unknown, is: (member: unknown) => boolean): boolean => isRecord(value) && Object.values(value).every(is);
export const isAbsentOr = (value: unknown, is: (value: unknown) => boolean): boolean => value === undefined || is(value);
