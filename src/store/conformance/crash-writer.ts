/**
 * A process that writes until it is killed: it prints `<session> <version>` for every turn that was acknowledged. Started by the crash
 * check with the module of the store and its options as JSON.
 */
import type { SessionStoreModule } from "../session-store.ts";
import { keyedOf, newSession, turnOf } from "./samples.ts";

const [module = "", options = "null"] = process.argv.slice(2);
const { createSessionStore: open } = (await import(module)) as SessionStoreModule;
const store = await open(JSON.parse(options));
const tell = (id: string, version: number): boolean => process.stdout.write(`${id} ${version}\n`);

async function write(id: string): Promise<void> {
  tell(id, await store.create(newSession(id)));
  for (let turn = 1; ; turn++) {
    await store.append(turnOf(id, turn, turn % 2 === 0 ? { keyed: keyedOf(turn) } : {}));
    tell(id, turn + 1);
  }
}

await Promise.all(Array.from({ length: 8 }, (_, n) => write(`s${n}`)));
