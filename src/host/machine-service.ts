/** What the machine of a multi-agent runtime asks of both services: their sessions' runtimes, control with authority, the end of a session. */
import { SessionError } from "../protocol/errors.ts";
import type { SessionId } from "../protocol/ids.ts";
import { refuse } from "../protocol/parse.ts";
import type { MachineSessionControlAuthority } from "../runtime/machine-authority.ts";
import type { RuntimeAdapter } from "../runtime/runtime-adapter.ts";
import type { RuntimeHost } from "../runtime/runtime-host.ts";
import type { SessionRuntimes } from "../runtime/session-runtimes.ts";
import { MobLiveService } from "./mob-live-service.ts";
import type { MobSessionService } from "./mob-session-service.ts";
import { runtimesOf } from "./service-runtimes.ts";

export abstract class MachineService extends MobLiveService implements MobSessionService {
  /** The service's runtimes, made if need be; undefined when it offers none. */
  protected abstract runtimes(): SessionRuntimes | undefined;
  /** @throws SessionError SESSION_NOT_FOUND when there is no session of that id that can run turns */
  protected abstract assertExists(id: SessionId): Promise<void>;

  runtimeAdapter(): RuntimeAdapter | undefined {
    return this.runtimes();
  }

  async interruptWithMachineAuthority(id: SessionId, authority: MachineSessionControlAuthority): Promise<void> {
    this.#assertMinted(authority);
    return this.interrupt(id);
  }

  async cancelAfterBoundaryWithMachineAuthority(id: SessionId, authority: MachineSessionControlAuthority): Promise<void> {
    this.#assertMinted(authority);
    return this.cancelAfterBoundary(id);
  }

  #assertMinted(authority: MachineSessionControlAuthority): void {
    if (runtimesOf(this)?.hasMinted(authority) !== true) refuse("authority", "is not one of this service's runtime adapter");
  }

  async archiveWithMobLifecycleAuthority(id: SessionId): Promise<void> {
    const runtimes = this.runtimes();
    if (runtimes === undefined) return this.archive(id);
    await this.read(id); // of an unknown session nothing is retired
    const rollBack = await runtimes.retireForArchive(id);
    try {
      await this.archive(id);
    } catch (error) {
      if (await this.#isArchived(id, error)) return this.sessionEnded(id, "retire");
      await rollBack().catch(() => {}); // what is to be told is why the archive failed
      throw error;
    }
  }

  /** Whether an archive failed because it was done before. */
  async #isArchived(id: SessionId, error: unknown): Promise<boolean> {
    if (!(error instanceof SessionError) || error.code !== "SESSION_NOT_FOUND") return false;
    return this.read(id).then(
      () => true,
      () => false,
    );
  }

  /** A session was archived, dropped for now, or is gone: its runtime is told. Never rejects. */
  protected async sessionEnded(id: SessionId, event: "retire" | "stop" | "destroy"): Promise<void> {
    await runtimesOf(this)?.sessionEnded(id, event);
  }

  override shutdown(options?: { deadlineMs?: number | undefined }): Promise<void> {
    const closed = super.shutdown(options);
    if (!this.host.isOpen) void runtimesOf(this)?.close();
    return closed;
  }

  /** This service, as its runtimes see it. */
  protected runtimeHost(): RuntimeHost {
    return {
      assertExists: (id) => this.assertExists(id),
      check: (request) => void this.checks.turn(request),
      apply: (id, { inputId, runId, request, boundary }, signal) =>
        this.applyRuntimeTurn(id, runId, request, boundary, [inputId], { signal }),
      whenIdle: async (id) => void (await (this.busyWith(id) ?? aLittle())),
    };
  }

  /** What keeps a session busy, as far as is known. Never rejects. */
  protected busyWith(id: SessionId): Promise<unknown> | undefined {
    return this.onItsWay(id) ?? this.find(id)?.turn?.outcome.catch(() => {});
  }
}

/** Milliseconds until a session is tried again that is kept busy by something that does not say when it ends. */
const UNKNOWN_MS = 10;
const aLittle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, UNKNOWN_MS));
