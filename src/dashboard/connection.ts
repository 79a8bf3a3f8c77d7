/**
 * The server of this page, through its public client.
 *
 *   K1. A key is asked for when the server wants one, and kept in this tab's session storage only.
 */

import { WarrenClient, WarrenClientError } from "../client/index.ts";
import { ask } from "./dialogs.ts";

const STORED = "warren.key";

export class Connection {
  client: WarrenClient = newClient();
  #asking: Promise<boolean> | undefined;

  /** Call the server; with another key when it does not take this one. Rejects as the call does. */
  async call<T>(run: (client: WarrenClient) => Promise<T>): Promise<T> {
    for (;;) {
      const { client } = this;
      try {
        return await run(client);
      } catch (error) {
        if (statusOf(error) !== 401) throw error;
        if (client === this.client && !(await this.#newKey())) throw error;
      }
    }
  }

  /** One question for all who wait for it. @returns whether there is another key */
  #newKey(): Promise<boolean> {
    return (this.#asking ??= this.#askForKey().finally(() => (this.#asking = undefined)));
  }

  async #askForKey(): Promise<boolean> {
    const hadKey = sessionStorage.getItem(STORED) !== null;
    const answer = await ask({
      title: "This server asks for a key",
      text: hadKey ? "The last one was not accepted." : "It is kept in this tab until you close it.",
      fields: [{ name: "key", label: "Key", kind: "password", isRequired: true }],
      accept: "Continue",
    });
    if (answer === undefined) return false;
    sessionStorage.setItem(STORED, answer["key"] ?? "");
    this.client = newClient();
    return true;
  }
}

function newClient(): WarrenClient {
  const key = sessionStorage.getItem(STORED) ?? undefined;
  return new WarrenClient({ url: new URL(".", document.baseURI), key, retries: 1 });
}

export function statusOf(error: unknown): number | undefined {
  return error instanceof WarrenClientError ? error.status : undefined;
}
