/** Thread entry of the store. */
import { runStore } from "../src/store/run-store.ts";

await runStore();
