/** What runs agents' programs, and the ports of what agents hand out. */
import { readFileSync, readdirSync } from "node:fs";

import type { Sandbox } from "../../../src/agents/sandbox.ts";
import { Sandbox as NewSandbox, SandboxError, loadSandboxModule } from "../../../src/agents/sandbox.ts";
import type { HandleApi, HandleOutcome } from "../../../src/lane/handle-server.ts";
import { handleApi } from "../../../src/lane/handle-server.ts";
import type { SessionActor } from "../../../src/lane/session-actor.ts";
import { SessionError } from "../../../src/protocol/errors.ts";
import type { Boundary, Verdict } from "../boundary.ts";
import { expectThat } from "../boundary.ts";
import * as make from "../generate.ts";
import { hostile } from "../mutate-values.ts";
import { notPlain } from "../prototypes.ts";
import type { Random } from "../random.ts";
import { mutateText } from "./text.ts";
import { checkWire, thrownOf } from "./values.ts";

const FOLDER = new URL("../../../../examples/programs/", import.meta.url);
const PROGRAMS = [
  "1 + 1", "let a = 1; a += 2", "console.log('x'.repeat(100)); [1, {a: 2}]", "throw new TypeError('no')", "new Promise(() => {})", "Promise.resolve(5)",
  "({}).__proto__.admin = true", "Object.prototype.admin = 1; ({})", "function f() { f() } f()", "while (true) {}", "const a = []; while (true) a.push('x'.repeat(1000))",
  "globalThis.constructor.constructor('return process')()", "new Proxy({}, { get() { throw 1 } })", "Object.defineProperty(globalThis, 'console', { value: 1 })",
  "Symbol.toPrimitive", "1n << 200n", "(a => b => a(b))(c => c)(1)", "class A { static #b = 1; toString() { throw this } } new A()", "JSON.stringify = null; ({a: 1})",
]; // prettier-ignore

/** Polls after which a program is stopped: it is one that does not end. */
const POLLS_MAX = 20;

function sandbox(): Boundary<string> {
  let box: Sandbox | undefined;
  let load: Awaited<ReturnType<typeof loadSandboxModule>> | undefined;
  let samples: readonly string[] = PROGRAMS;
  let cases = 0;
  return {
    name: "program for the interpreter",
    weight: 0.03,
    allowedBytes: 128 * 1024 * 1024,
    open: async () => {
      samples = [...PROGRAMS, ...examples()];
      load = await loadSandboxModule();
    },
    make: (random) => mutateText(random, samples),
    check: async (program): Promise<Verdict> => {
      if (load === undefined) throw new Error("not open");
      if (box === undefined || box.isLost || ++cases % 20 === 0) {
        box?.dispose();
        box = await NewSandbox.create(load);
      }
      let polls = 0;
      try {
        const text = box.run(program, {
          write: (part) => expectThat(part !== "", "console text"),
          isInterrupted: () => ++polls > POLLS_MAX,
        });
        expectThat(typeof text === "string", "a result is text");
        return "accepted";
      } catch (error) {
        if (!(error instanceof SandboxError)) throw error;
        expectThat(typeof error.message === "string" && (error.line === undefined || error.line >= 1), "a message, and a line");
        return "refused";
      }
    },
    close: () => box?.dispose(),
  };
}

function examples(): string[] {
  try {
    return readdirSync(FOLDER).map((name) => readFileSync(new URL(name, FOLDER), "utf8").slice(0, 4000));
  } catch {
    return []; // from the sources, where the folder is elsewhere: what is above will do
  }
}

interface HandleCall {
  readonly kind: string;
  readonly method: string;
  readonly args: unknown[];
  readonly gives: unknown;
  readonly throws: boolean;
}
const METHODS = ["inject", "injectWithSubscription", "publicKey", "send", "peers", "peerCount", ...make.HOSTILE_KEYS] as const;
const KINDS = ["eventInjector", "interactionEventInjector", "commsRuntime", ...make.HOSTILE_KEYS] as const;

const handle: Boundary<HandleCall> = {
  name: "handle of an agent",
  allowedBytes: 64 * 1024 * 1024,
  make: (random: Random) => ({
    kind: random.oneIn(4) ? random.pick(KINDS) : random.pick(KINDS.slice(0, 3)),
    method: random.pick(METHODS),
    args: random.oneIn(4) ? [hostile(random)] : [make.textOf(random), make.nameOf(random)],
    gives: random.oneIn(8)
      ? new SessionError("SESSION_BUSY", "mine", { details: { f: hostile(random) } })
      : random.oneIn(3)
        ? thrownOf(random)
        : hostile(random),
    throws: random.oneIn(2),
  }),
  check: async ({ kind, method, args, gives, throws }): Promise<Verdict> => {
    const answer = (): unknown => {
      if (throws) throw gives; // eslint-disable-line no-throw-literal
      return gives;
    };
    const methods = { inject: answer, injectWithSubscription: answer, publicKey: answer, send: answer, peers: answer, peerCount: answer };
    const handles = { eventInjector: methods, interactionEventInjector: methods, commsRuntime: methods };
    const api: HandleApi = handleApi(
      { tenure: { handles }, entered: (call: () => unknown) => call() } as unknown as SessionActor,
      kind as "commsRuntime",
    );
    const outcomes: HandleOutcome[] = [await api.call(method, args), await api.subscribe("body", "rpc"), await api.next(1)];
    await api.leave(1);
    for (const outcome of outcomes) {
      if (outcome.ok) {
        const problem = notPlain(outcome.value, 2_000_000);
        expectThat(problem === undefined, `what a handle gives is no plain data: ${problem}`);
      } else checkWire(outcome.error);
    }
    return outcomes[0]?.ok === true ? "accepted" : "refused";
  },
};

export const AGENTS: readonly Boundary<never>[] = [handle, sandbox()] as readonly Boundary[] as readonly Boundary<never>[];
