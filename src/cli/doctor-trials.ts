/** What `warren doctor` tries out: a store of its own, the caller's store, the port, the agent. Each leaves nothing behind. */
import { statSync } from "node:fs";
import { mkdtemp, rm, stat, statfs } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import type { SessionService } from "../host/session-service.ts";
import { agentModules, openingRefusal } from "./agent-option.ts";
import { messageOf } from "./command-io.ts";
import type { Finding } from "./doctor-checks.ts";
import { mebibytes } from "./doctor-checks.ts";

/** A store is slow on a disk that has less, and ends on one that has none. */
const DISK_BYTES_MIN = 1024 * 1024 * 1024;
/** Milliseconds a turn of a trial may take. */
const TURN_MS = 30_000;

/** The package's native parts: a scratch store takes a session and gives it back. */
export async function tryNativeParts(): Promise<Finding> {
  const check = "native parts";
  let folder: string | undefined;
  try {
    folder = await mkdtemp(join(tmpdir(), "warren-doctor-"));
    const { openLmdbStore } = await import("../store/lmdb-open.ts");
    const store = await openLmdbStore({ path: join(folder, "store") });
    try {
      const usage = { inputTokens: 0, outputTokens: 0 };
      const state = { updatedAt: 0, usage, metadata: {}, lastSeq: 0, contextTaken: 0 };
      await store.create({ id: "scratch", createdAt: 0, labels: {}, agent: "none", request: { prompt: "" }, state, messages: [] });
      if ((await store.head("scratch"))?.id !== "scratch") throw new Error("what was written cannot be read");
    } finally {
      await store.close();
    }
    return { check, status: "ok", found: "lmdb opens a store, writes and reads" };
  } catch (error) {
    const advice = `npm rebuild lmdb; it must fit this platform (${process.platform} ${process.arch}), and ${tmpdir()} must be writable`;
    return { check, status: "fail", found: `lmdb: ${messageOf(error)}`, advice };
  } finally {
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }
}

/** @param path - folder of the store; one that is not there yet is made by the first host */
export async function tryStore(path: string): Promise<Finding[]> {
  const check = "store";
  try {
    if (statSync(path, { throwIfNoEntry: false }) === undefined) {
      const found = `there is no folder ${path}: the first host makes it`;
      const parent = existing(path);
      if (!statSync(parent).isDirectory()) throw new Error(`ENOTDIR: ${parent} is no folder`); // from Node 22 on stat does not say so
      return [{ check, status: "ok", found }, await tryDisk(parent)];
    }
    const [{ openLmdbStore, STORE_SCHEMA }, { ownerOf }] = await Promise.all([
      import("../store/lmdb-open.ts"),
      import("../store/lmdb-owner.ts"),
    ]);
    const store = await openLmdbStore({ path, readOnly: true });
    await store.close();
    const owner = await ownerOf(path);
    const { size } = await stat(join(path, "data.mdb"));
    const found = `${path} opens: schema ${STORE_SCHEMA}, ${mebibytes(size)}`;
    if (owner === undefined) return [{ check, status: "ok", found }, await tryDisk(path)];
    const advice = "one process at a time: stop it, or look at its sessions with --url";
    return [{ check, status: "warn", found: `${found}; process ${owner} has it open`, advice }, await tryDisk(path)];
  } catch (error) {
    const advice = "docs/storage.md says what each failure of a store looks like, and how it is put right";
    return [{ check, status: "fail", found: messageOf(error), advice }];
  }
}

async function tryDisk(path: string): Promise<Finding> {
  const check = "disk";
  const { bavail, bsize } = await statfs(path);
  const free = bavail * bsize;
  const found = `${mebibytes(free)} free`;
  if (free >= DISK_BYTES_MIN) return { check, status: "ok", found };
  return { check, status: free === 0 ? "fail" : "warn", found, advice: `make room on the disk of ${path}` };
}

/** @returns the nearest folder on the way to a path that is there */
function existing(path: string): string {
  const parent = dirname(path);
  return parent === path || statSync(parent, { throwIfNoEntry: false }) !== undefined ? parent : existing(parent);
}

/** Listens there for a moment. */
export async function tryPort(host: string, port: number): Promise<Finding> {
  const check = "port";
  const at = `${host}:${port}`;
  const server = createServer();
  const error = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    server.once("error", resolve);
    server.listen({ host, port, exclusive: true }, () => resolve(undefined));
  });
  await new Promise((resolve) => server.close(resolve));
  if (error === undefined) return { check, status: "ok", found: port === 0 ? `${host} has free ports` : `${at} is free` };
  const advice: Record<string, string> = {
    EADDRINUSE: "another program listens there: stop it, or give another --port",
    EACCES: "ports below 1024 are the system's: give another --port",
    EADDRNOTAVAIL: "this machine has no such address: give another --host",
    ENOTFOUND: "this machine does not know that name: give another --host",
  };
  return {
    check,
    status: "fail",
    found: `${at} cannot be listened on: ${error.message}`,
    advice: advice[error.code ?? ""] ?? "give another",
  };
}

/**
 * Opens a host with one lane, makes a session with each agent, and has it take a turn.
 *
 * @param prompt - of that turn; undefined: only agents that ship take one, since others may call a model
 */
export async function tryAgents(agents: readonly string[], prompt: string | undefined): Promise<Finding[]> {
  const check = "agent";
  const modules = agentModules(agents);
  let service: SessionService;
  try {
    const { EphemeralSessionService } = await import("../host/ephemeral-service.ts");
    service = await EphemeralSessionService.open({ agent: modules, lanes: { count: 1 } });
  } catch (error) {
    const found = messageOf(openingRefusal(error, agents.join(", "))).replace(/^option '[^']*': /, "");
    return [{ check, status: "fail", found, advice: "it must be a module whose default export is made by defineAgent: see warren/agent" }];
  }
  try {
    return await Promise.all(Object.keys(modules).map((name) => tryAgent(service, name, prompt)));
  } finally {
    await service.shutdown({ deadlineMs: 0 });
  }
}

async function tryAgent(service: SessionService, name: string, prompt: string | undefined): Promise<Finding> {
  const check = "agent";
  try {
    const { sessionId } = await service.createSession({ prompt: "", initialTurn: "defer", agent: name });
    const asked = prompt ?? (name === "echo" || name === "interpreter" ? "1" : undefined);
    if (asked === undefined) return { check, status: "ok", found: `${name} loads and builds a session (--prompt has it take a turn)` };
    await service.startTurn(sessionId, { prompt: asked, timeoutMs: TURN_MS });
    return { check, status: "ok", found: `${name} loads in a lane and answers` };
  } catch (error) {
    return { check, status: "fail", found: `${name}: ${messageOf(error)}`, advice: "see what it says: warren chat --agent" };
  }
}
