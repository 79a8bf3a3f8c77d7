/** The keys that are in force: those of the file, as it is now, that have not expired. */
import type { Logger } from "../../protocol/options.ts";
import type { Principal } from "../principal.ts";
import type { StoredKey } from "./key-file.ts";
import { parseKeyFile } from "./key-file.ts";
import { isSecretOf, readToken } from "./secrets.ts";
import { WatchedFile } from "./watched-file.ts";

/** Compared with when there is no such key, so that it takes as long. */
const NO_HASH = "0".repeat(64);

export class KeyRing {
  readonly #file: WatchedFile<ReadonlyMap<string, StoredKey>>;

  private constructor(file: WatchedFile<ReadonlyMap<string, StoredKey>>) {
    this.#file = file;
  }

  /** @throws KeyFileError, Error when the file cannot be read */
  static async open(path: string, everyMs: number, logger?: Pick<Logger, "info" | "warn">): Promise<KeyRing> {
    const parse = (text: string): ReadonlyMap<string, StoredKey> => new Map(parseKeyFile(text, path).map((key) => [key.id, key]));
    return new KeyRing(await WatchedFile.open({ path, parse, everyMs, logger }));
  }

  /** @returns whose key it is; undefined when it is none that is in force. Never blocks */
  find(token: string, nowMs: number = Date.now()): Principal | undefined {
    const parts = readToken(token);
    const key = parts && this.#file.value.get(parts.id);
    const isRight = parts !== undefined && isSecretOf(parts.secret, key?.hash ?? NO_HASH);
    if (!isRight || key === undefined || !this.has(key.id, nowMs)) return undefined;
    return { tenant: key.tenant, role: key.role, key: key.id };
  }

  /** Whether the key of that id is in force. */
  has(id: string, nowMs: number = Date.now()): boolean {
    const key = this.#file.value.get(id);
    return key !== undefined && (key.expiresAt === undefined || nowMs < key.expiresAt);
  }

  reload(): Promise<void> {
    return this.#file.reload();
  }

  close(): void {
    this.#file.close();
  }
}
