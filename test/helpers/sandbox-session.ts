/** A sandbox for a test, disposed of after it, with short ways to run programs in it. */
import { afterEach } from "vitest";
import { loadSandboxModule, Sandbox, SandboxError } from "../../src/agents/sandbox.ts";

const open: Sandbox[] = [];
afterEach(() => open.splice(0).forEach((sandbox) => sandbox.dispose()));

async function newSandbox(): Promise<Sandbox> {
  const sandbox = await Sandbox.create(await loadSandboxModule());
  open.push(sandbox);
  return sandbox;
}

/** Runs one program after another in one sandbox. */
export async function newSession() {
  const sandbox = await newSandbox();
  const never = () => false;
  const run = (program: string, write: (text: string) => void = () => undefined) => sandbox.run(program, { write, isInterrupted: never });
  const printed = (program: string) => {
    let text = "";
    run(program, (chunk) => (text += chunk));
    return text;
  };
  const failure = (program: string, isInterrupted: () => boolean = never): SandboxError => {
    try {
      sandbox.run(program, { write: () => undefined, isInterrupted });
    } catch (error) {
      if (error instanceof SandboxError) return error;
      throw error;
    }
    throw new Error(`did not fail: ${program}`);
  };
  /** Fails with an interrupt that comes after 20 ms. */
  const interrupted = (program: string) => {
    const endMs = performance.now() + 20;
    return failure(program, () => performance.now() > endMs).kind;
  };
  return { sandbox, run, printed, failure, interrupted };
}
