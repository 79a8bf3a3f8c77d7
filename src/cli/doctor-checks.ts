/** What `warren doctor` finds out about the machine, from facts that a test can make up; and how a finding looks. */
import { readFileSync } from "node:fs";
import { availableParallelism, freemem, totalmem } from "node:os";

/** "warn": it runs, but not as it could. "fail": it will not run. */
export type CheckStatus = "ok" | "warn" | "fail";

export interface Finding {
  readonly check: string;
  readonly status: CheckStatus;
  /** What was found. */
  readonly found: string;
  /** What to do about it. */
  readonly advice?: string;
}

/** What is known of the machine. Undefined: the system does not tell, or does not limit it. */
export interface MachineFacts {
  /** As `process.versions.node`. */
  readonly nodeVersion: string;
  /** The oldest that will do: "20.19". */
  readonly nodeMin: string;
  readonly cores: number;
  /** Cores' worth of time that the container may use. */
  readonly coresQuota: number | undefined;
  readonly memoryBytes: number;
  readonly freeBytes: number;
  /** Files and sockets the process may have open. */
  readonly filesMax: number | undefined;
}

/** Tested ones; others may do. */
const NODE_TESTED = [20, 22, 24];
const MIB = 1024 * 1024;
/** A process with two lanes and some thousand sessions. */
const FREE_BYTES_MIN = 512 * MIB;
/** As many connections as a server is made for, and the files beside them. */
const FILES_MIN = 16_384;

export function readMachine(nodeMin: string): MachineFacts {
  const constrained = process.constrainedMemory() ?? 0;
  const total = totalmem();
  const isLimited = constrained > 0 && constrained < total;
  return {
    nodeVersion: process.versions.node,
    nodeMin,
    cores: availableParallelism(),
    coresQuota: cgroupCores(),
    memoryBytes: isLimited ? constrained : total,
    freeBytes: Math.min(freemem(), isLimited ? constrained - process.memoryUsage.rss() : Infinity),
    filesMax: openFilesMax(),
  };
}

/** @returns what there is to say of the machine, nothing left out */
export function checkMachine(facts: MachineFacts): Finding[] {
  return [checkNode(facts), checkCores(facts), checkMemory(facts), checkFiles(facts)];
}

function checkNode({ nodeVersion, nodeMin }: MachineFacts): Finding {
  const [major = 0, minor = 0] = nodeVersion.split(".").map(Number);
  const [majorMin = 0, minorMin = 0] = nodeMin.split(".").map(Number);
  const check = "node";
  const found = `Node ${nodeVersion}`;
  if (major < majorMin || (major === majorMin && minor < minorMin))
    return { check, status: "fail", found, advice: `Warren needs Node ${nodeMin} or newer: install Node ${NODE_TESTED.at(-1)}` };
  if (!NODE_TESTED.includes(major))
    return { check, status: "warn", found, advice: `Warren is tested on Node ${NODE_TESTED.join(", ")}: use one of them` };
  return { check, status: "ok", found };
}

function checkCores({ cores, coresQuota }: MachineFacts): Finding {
  const check = "cores";
  const usable = Math.max(1, Math.floor(Math.min(cores, coresQuota ?? Infinity)));
  if (usable < cores) {
    const found = `${cores} cores, of which the container may use ${coresQuota}`;
    return { check, status: "warn", found, advice: `give --lanes ${usable}: by itself there is a lane for each core` };
  }
  if (cores === 1) return { check, status: "warn", found: "1 core", advice: "lanes, server and store share it: use a machine with more" };
  return { check, status: "ok", found: `${cores} cores` };
}

function checkMemory({ memoryBytes, freeBytes }: MachineFacts): Finding {
  const check = "memory";
  const found = `${mebibytes(freeBytes)} free of ${mebibytes(memoryBytes)}`;
  if (freeBytes >= FREE_BYTES_MIN) return { check, status: "ok", found };
  const advice = `free ${mebibytes(FREE_BYTES_MIN)}, or keep it small: --lanes 1, --lane-heap-mb 128, --max-sessions 1000`;
  return { check, status: "warn", found, advice };
}

function checkFiles({ filesMax }: MachineFacts): Finding {
  const check = "files";
  if (filesMax === undefined) return { check, status: "ok", found: "open files are not limited" };
  const found = `${filesMax} open files`;
  if (filesMax >= FILES_MIN) return { check, status: "ok", found };
  const advice = `each connection takes one: ulimit -n ${4 * FILES_MIN}, or LimitNOFILE=${4 * FILES_MIN} of the systemd unit`;
  return { check, status: "warn", found, advice };
}

export function mebibytes(bytes: number): string {
  return bytes >= 10_240 * MIB ? `${Math.floor(bytes / (1024 * MIB))} GiB` : `${Math.floor(bytes / MIB)} MiB`;
}

/** The container's quota, where there is one: Node 20 does not count it. */
function cgroupCores(): number | undefined {
  try {
    const [quota, period] = readFileSync("/sys/fs/cgroup/cpu.max", "utf8").trim().split(" ").map(Number);
    return quota !== undefined && period !== undefined && quota > 0 && period > 0 ? quota / period : undefined;
  } catch {
    return undefined; // no Linux, an older one, or no group
  }
}

/** The soft limit, which is what counts. */
function openFilesMax(): number | undefined {
  const { userLimits } = process.report.getReport() as { userLimits?: Record<string, { soft: number | string } | undefined> };
  const soft = userLimits?.["open_files"]?.soft;
  return typeof soft === "number" ? soft : undefined;
}
