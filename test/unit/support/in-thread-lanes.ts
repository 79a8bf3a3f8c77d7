/**
 * Lanes in this thread: what takes the place of src/host/lane-thread.ts when a test mocks it. The host above is the real one, and so are
 * the lanes; between them is a memory pipe, and a lane's thread ends when the test says so.
 */
import { LaneWords } from "../../../src/core/lane-words.ts";
import { SlotTable } from "../../../src/core/slot-table.ts";
import type { startLaneThread } from "../../../src/host/lane-thread.ts";
import { serveHandle } from "../../../src/lane/handle-server.ts";
import type { LoadReport } from "../../../src/lane/load-agents.ts";
import { Lane } from "../../../src/lane/serve-lane.ts";
import type { SessionAgentBuilder } from "../../../src/protocol/agent.ts";
import { encodeFrame } from "../../../src/transport/codec.ts";
import { memoryPipe } from "../../../src/transport/memory-transport.ts";

type LaneThread = ReturnType<typeof startLaneThread>;
type LaneEnd = Awaited<LaneThread["ended"]>;

/** The stand-in for one thread. */
export interface FakeThread {
  readonly lane: Lane;
  /** What main calls. */
  readonly control: LaneThread["control"];
  told: "stop" | "kill" | undefined;
  /** Send a frame that the lane did not make. */
  post(...reports: unknown[][]): void;
  /** Send what may be a frame. */
  postBytes(frame: Uint8Array): void;
  /** Close its data port only: the exit is still to come. */
  closePort(): Promise<void>;
  /** End it, as a crash would. */
  crash(exitCode?: number): Promise<void>;
}

/** Every thread started in this test, in order. */
export const threads: FakeThread[] = [];
/** Builds the agents of lanes that start from now on, and says what becomes of loading them. */
export const agent: { builder: SessionAgentBuilder; load: () => Promise<LoadReport> } = {
  builder: { buildAgent: () => Promise.reject(new Error("no agent")) },
  load: async () => ({ ok: true }),
};

export const startFakeThread: typeof startLaneThread = (settings) => {
  const [main, inside] = memoryPipe();
  const loading = agent.load();
  const builder: SessionAgentBuilder = { buildAgent: (request, context) => agent.builder.buildAgent(request, context) };
  const lane = new Lane({
    transport: inside,
    table: new SlotTable(settings.segments),
    words: new LaneWords(settings.words),
    agents: new Map(Object.keys(settings.agents).map((name) => [name, builder])),
    interruptGraceMs: settings.interruptGraceMs,
    buildTimeoutMs: settings.buildTimeoutMs,
  });
  let exit!: (end: LaneEnd) => void;
  const exited = new Promise<LaneEnd>((resolve) => (exit = resolve));
  const closed = new Promise<void>((resolve) => main.onClose(resolve));
  const ended = Promise.all([exited, closed]).then(([end]) => end);
  const end = async (what: LaneEnd): Promise<void> => {
    await lane.close();
    exit(what);
    await ended;
  };
  const control: LaneThread["control"] = {
    loaded: () => loading,
    openHandle: async (slot, generation, kind, port) => {
      const actor = lane.session(slot, generation);
      if (actor === undefined) port.close();
      else serveHandle(port, actor, kind);
      return actor !== undefined;
    },
    stop: async () => stop(),
  };
  const fake: FakeThread = {
    lane,
    control,
    told: undefined,
    post: (...reports) => inside.send(encodeFrame(reports), reports.length),
    postBytes: (frame) => inside.send(frame),
    closePort: () => lane.close(),
    crash: (exitCode = 1) => end({ exitCode, error: new Error("crashed") }),
  };
  threads.push(fake);
  const stop = (): void => {
    fake.told = "stop";
    void end({ exitCode: 0 });
  };
  return {
    transport: main,
    control,
    ended,
    threadId: threads.length,
    loopTimes: () => undefined,
    stop,
    kill: () => {
      fake.told = "kill";
      void end({ exitCode: 1 });
    },
  };
};
