/** Sessions that do nothing wrong while another does: each has a turn open all the time, and one after it. */
import type { SessionService } from "../../dist/src/index.js";
import { contents, echoed } from "../helpers/persistent-hosts.ts";
import { deferred, sleep } from "../helpers/hosts.ts";
import { attempt, bounded } from "./attempt.ts";

/** Milliseconds between two turns of a session that works on. */
const PULSE_MS = 10;

export class Bystander {
  readonly #service: SessionService;
  readonly #id: string;
  #open: Promise<string> | undefined;

  private constructor(service: SessionService, id: string) {
    this.#service = service;
    this.#id = id;
  }

  static async join(service: SessionService): Promise<Bystander> {
    return new Bystander(service, await deferred(service));
  }

  /** @returns the name of the thread its session is in */
  where(): Promise<string> {
    return this.#answer("?where");
  }

  /** Open a turn that stays open. Resolves when it runs. */
  hold(): Promise<void> {
    return new Promise((resolve, reject) => {
      const turn = this.#service.startTurn(this.#id, { prompt: "?hold", onEvent: () => resolve() });
      turn.catch(reject);
      this.#open = attempt(turn, ({ text }) => (text === "held" ? "ok" : `WRONG ANSWER: ${text}`));
    });
  }

  /** What becomes of the open turn when it is asked to end, and of the next one. */
  async account(isKept: boolean): Promise<string> {
    await this.#service.cancelAfterBoundary(this.#id).catch(() => {}); // it may have ended already
    const held = await bounded(this.#open as Promise<string>, async () => this.#service.interrupt(this.#id).catch(() => {}));
    const next = await attempt(this.#service.startTurn(this.#id, { prompt: "next" }), ({ text }) =>
      text === "next" ? "ok" : `WRONG ANSWER: ${text}`,
    );
    if (held === "ok" && next === "ok" && (await this.#history(["?where", "?hold", "next"]))) return "unharmed";
    const turned = held === "ok" ? "their turn ends well" : `their turn: ${held}`;
    if (next !== "ok") return `${turned}; then ${next.startsWith("`SESSION_NOT_FOUND`") ? `gone: ${next}` : next}`;
    const kept = held === "ok" ? ["?where", "?hold", "next"] : ["?where", "next"];
    return `${turned}; ${(await this.#history(kept)) ? (isKept ? "go on from the boundary before" : "go on") : "WRONG TRANSCRIPT"}`;
  }

  async #history(prompts: string[]): Promise<boolean> {
    const messages = await bounded(
      this.#service.exportSession(this.#id).then(({ messages }) => contents(messages)),
      () => {},
      [],
    );
    const answers = prompts.flatMap((prompt) => (prompt === "?hold" ? [prompt, "held"] : echoed(prompt)));
    return messages.every((content, at) => content === answers[at] || answers[at] === "?where") && messages.length === answers.length;
  }

  /** Turn after turn, until told to stop. @returns what stops it: the number of turns, or what went wrong */
  pulse(): () => Promise<string> {
    let isOver = false;
    const run = async (): Promise<string> => {
      for (let turn = 0; !isOver; turn++) {
        const told = await attempt(this.#service.startTurn(this.#id, { prompt: `pulse ${turn}` }), ({ text }) =>
          text === `pulse ${turn}` ? "ok" : `WRONG ANSWER: ${text}`,
        );
        if (told !== "ok") return told;
        await sleep(PULSE_MS);
      }
      return "ok";
    };
    const running = run();
    return () => {
      isOver = true;
      return running;
    };
  }

  async #answer(prompt: string): Promise<string> {
    return (await this.#service.startTurn(this.#id, { prompt })).text;
  }
}
