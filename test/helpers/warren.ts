/** The built `warren` command in the test's own process: what it prints and its exit code, without a process to start for each call. */
import { EventEmitter } from "node:events";
import { Readable, Writable } from "node:stream";

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
