/** Where a run was measured: what its results must say to be read later. */
import { execFileSync } from "node:child_process";
import { cpus, release, totalmem, type } from "node:os";

import type { RunResults } from "./results.ts";

export function describeMachine(): RunResults["machine"] {
  const cores = cpus();
  return {
    node: process.version,
    v8: process.versions.v8,
    os: `${type()} ${release()}`,
    cpu: cores[0]?.model.trim() ?? "unknown",
    cores: cores.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
  };
}

/** @returns the commit, with "+" behind it when sources differ from it; "unknown" outside a checkout */
export function describeCommit(): string {
  const git = (...args: string[]): string => execFileSync("git", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  try {
    const isChanged = git("status", "--porcelain", "--", "src", "workers", "bench", "package-lock.json", ":!bench/results") !== "";
    return `${git("rev-parse", "--short=10", "HEAD")}${isChanged ? "+" : ""}`;
  } catch {
    return "unknown";
  }
}
