/** Opening hosts for tests, and the few ways tests wait. Every host opened here is shut down when its test or file ends. */
import { afterAll, afterEach, beforeAll, expect } from "vitest";

import type { CreateSessionRequest, SessionService, SessionServiceOptions } from "../../dist/src/index.js";
import { EphemeralSessionService, SessionError } from "../../dist/src/index.js";
import { expectNoLeaks } from "./no-leaks.ts";

export const SCRIPTED = new URL("../fixtures/scripted.mjs", import.meta.url);
export const RECORDING = new URL("../fixtures/recording.mjs", import.meta.url);

type Options = Partial<SessionServiceOptions>;

/** Waiting for something that must happen: the limit catches hangs. */
const WAIT_MAX_MS = 15_000;

/** @returns a way to open hosts of one test; the last act of each test is their shutdown */
export function hosts(): (options?: Options) => Promise<EphemeralSessionService> {
  expectNoLeaks();
  const open: EphemeralSessionService[] = [];
  afterEach(async () => {
    await Promise.all(open.splice(0).map((service) => service.shutdown({ deadlineMs: 0 })));
  });
  return async (options = {}) => {
    const service = await EphemeralSessionService.open({ agent: SCRIPTED, lanes: { count: 1 }, interruptGraceMs: 300, ...options });
    open.push(service);
    return service;
  };
}

/** @returns the one host of a file, for stories that do not disturb each other */
export function sharedHost(options: Options = {}): () => EphemeralSessionService {
  expectNoLeaks();
  let service: EphemeralSessionService;
  beforeAll(async () => {
    service = await EphemeralSessionService.open({ agent: SCRIPTED, lanes: { count: 2 }, interruptGraceMs: 300, ...options });
  });
  afterAll(() => service.shutdown({ deadlineMs: 0 }));
  return () => service;
}

/** A prompt for the scripted agents: steps as in fixtures/steps.mjs. */
export function script(...steps: (readonly [verb: string, ...args: unknown[]])[]): string {
  return JSON.stringify(steps);
}

/** Create a deferred session. @returns its id */
export async function deferred(
  service: Pick<SessionService, "createSession">,
  request: Partial<CreateSessionRequest> = {},
): Promise<string> {
  const { sessionId } = await service.createSession({ prompt: "", initialTurn: "defer", ...request });
  return sessionId;
}

/** @returns the SessionError that `call` ends with; anything else fails the test */
export async function errorOf(call: Promise<unknown> | (() => unknown)): Promise<SessionError> {
  let value: unknown;
  try {
    value = await (typeof call === "function" ? call() : call);
  } catch (error) {
    expect(error).toBeInstanceOf(SessionError);
    return error as SessionError;
  }
  throw new Error(`expected an error, got ${JSON.stringify(value)}`);
}

/** @returns the code `call` ends with, "ok" when it succeeds */
export async function codeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return "ok";
  } catch (error) {
    return error instanceof SessionError ? error.code : String(error);
  }
}

/** @returns the kind of AGENT_ERROR that `call` ends with */
export async function kindOf(call: Promise<unknown>): Promise<string | undefined> {
  return (await errorOf(call)).agentError?.kind;
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Wait until `isSo` holds. @throws Error after a limit, naming `what` */
export async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (const limit = Date.now() + WAIT_MAX_MS; !(await isSo()); await sleep(5)) {
    if (Date.now() > limit) throw new Error(`waited in vain until ${what}`);
  }
}

/** Settle like `call`, or fail when it hangs. */
export async function settled<T>(call: Promise<T>, what = "the call"): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const hang = new Promise<never>((_, reject) => (timer = setTimeout(() => reject(new Error(`${what} hangs`)), WAIT_MAX_MS)));
  try {
    return await Promise.race([call, hang]);
  } finally {
    clearTimeout(timer);
  }
}

/** A promise and its ends. */
export function gate(): { promise: Promise<void>; open: () => void } {
  let open!: () => void;
  const promise = new Promise<void>((resolve) => (open = resolve));
  return { promise, open };
}
