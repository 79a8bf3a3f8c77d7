/** Numbers and times as people read them. */

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

export function count(value: number): string {
  return whole.format(value);
}

/** Three digits say enough. */
export function rough(value: number): string {
  return value >= 1000 ? whole.format(value) : fine.format(value);
}

export function milliseconds(ms: number | undefined): string {
  if (ms === undefined) return "–";
  return ms >= 10_000 ? `${rough(ms / 1000)} s` : `${rough(ms)} ms`;
}

export function mebibytes(bytes: number): string {
  return `${rough(bytes / 1024 / 1024)} MiB`;
}

export function percent(share: number): string {
  return `${whole.format(share * 100)} %`;
}

/** How long ago. @param time - epoch milliseconds */
export function age(time: number, now = Date.now()): string {
  const seconds = Math.max(0, Math.round((now - time) / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** Of the day. @param time - epoch milliseconds */
export function clock(time: number): string {
  return new Date(time).toLocaleTimeString("en", { hour12: false });
}

/** Ids begin with the time, so their end tells them apart. */
export function shortId(id: string): string {
  return id.length <= 16 ? id : `${id.slice(0, 8)}…${id.slice(-6)}`;
}

/** What a person should read of an error. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
