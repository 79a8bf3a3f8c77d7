/** The built `warren` command in the test's own process: what it prints and its exit code, without a process to start for each call. */
import { EventEmitter } from "node:events";
import { PassThrough, Readable, Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";

import { afterAll, beforeAll } from "vitest";

import { runProgram } from "../../dist/src/cli/program.js";

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** @param input - its standard input. @param env - its environment variables */
export async function warren(args: readonly string[], input = "", env: NodeJS.ProcessEnv = {}): Promise<Outcome> {
  const [out, err] = [new Written(), new Written()];
  const stdin = Readable.from(input === "" ? [] : [Buffer.from(input)]);
  const code = await runProgram(args, { stdin, stdout: out, stderr: err, signals: new EventEmitter(), env });
  return { code, out: out.text(), err: err.text() };
}

/** A command that goes on until it is told to stop, or its input ends. */
export interface Begun {
  readonly stdin: PassThrough;
  readonly out: () => string;
  readonly err: () => string;
  signal(signal: "SIGINT" | "SIGTERM"): void;
  /** Resolves with the match when standard output, from where the last match ended, or standard error has said it. */
  said(pattern: RegExp): Promise<RegExpExecArray>;
  readonly ended: Promise<Outcome>;
}

/** @param isTerminal - it is told that its streams are terminals */
export function begin(
  args: readonly string[],
  { env = {}, isTerminal = false }: { env?: NodeJS.ProcessEnv; isTerminal?: boolean } = {},
): Begun {
  const [out, err, stdin, signals] = [new Written(), new Written(), new PassThrough(), new EventEmitter()];
  if (isTerminal) for (const stream of [out, err, stdin]) Object.assign(stream, { isTTY: true, columns: 100, rows: 30 });
  let hasEnded = false;
  const ended = runProgram(args, { stdin, stdout: out, stderr: err, signals, env })
    .then((code) => ({ code, out: out.text(), err: err.text() }))
    .finally(() => (hasEnded = true));
  ended.catch(() => {}); // whoever awaits it hears of it
  let from = 0;
  const said = async (pattern: RegExp): Promise<RegExpExecArray> => {
    for (;;) {
      const found = pattern.exec(out.text().slice(from));
      if (found !== null) {
        from += found.index + found[0].length;
        return found;
      }
      const complained = pattern.exec(err.text());
      if (complained !== null) return complained;
      if (hasEnded) throw new Error(`ended without saying ${pattern}: ${out.text().slice(from)}${err.text()}`);
      await sleep(5);
    }
  };
  return { stdin, out: () => out.text(), err: () => err.text(), signal: (signal) => void signals.emit(signal, signal), said, ended };
}

/** Paths of the commands are relative to this folder while the file's tests run. */
export function workIn(folder: string | (() => string)): void {
  const before = process.cwd();
  beforeAll(() => process.chdir(typeof folder === "string" ? folder : folder()));
  afterAll(() => process.chdir(before));
}

class Written extends Writable {
  readonly #pieces: Buffer[] = [];

  override _write(piece: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#pieces.push(piece);
    done();
  }

  text(): string {
    return Buffer.concat(this.#pieces).toString();
  }
}
