/**
 * Lanes of a simulated host: the real `Lane` in a process of its own, in the place of src/host/lane-thread.ts and src/lane/run-lane.ts.
 * When one ends, its exit and its port's close come in either order, the close behind every frame it sent.
 */
import { LaneWords } from "../../src/core/lane-words.ts";
import { SlotTable } from "../../src/core/slot-table.ts";
import type { StartThread } from "../../src/host/lane-pool.ts";
import type { LaneEnd } from "../../src/host/lane-thread.ts";
import type { LoadReport } from "../../src/lane/load-agents.ts";
import { Lane } from "../../src/lane/serve-lane.ts";
import type { SessionAgentBuilder } from "../../src/protocol/agent.ts";
import { PortTransport } from "../../src/transport/port-transport.ts";
import { StoreClient } from "../../src/transport/store-client.ts";
import type { Faults } from "./faults.ts";
import type { Delay, SimulatedPort, Wiretap } from "./ports.ts";
import { portPair } from "./ports.ts";
import type { Process } from "./process.ts";
import type { World } from "./world.ts";

export interface SimulatedLane {
  readonly process: Process;
  /** The lane in it, when its agents are loaded. */
  lane: Lane | undefined;
  /** How its end will be told, if it dies now. */
  dyingOf: LaneEnd;
  /** End it so many milliseconds from now, whatever it does then. */
  dies(inMs: number): void;
}

export interface LaneWorkshop {
  readonly world: World;
  readonly main: Process;
  readonly faults: Faults;
  readonly delay: Delay;
  readonly agents: ReadonlyMap<string, SessionAgentBuilder>;
  /** Of each lane: sees the frames that main gets. */
  readonly wiretapOf: () => Wiretap | undefined;
  /** A mutant: the end of a lane is told at once, whatever is still in its port. */
  readonly tellsEndEarly?: boolean | undefined;
  /** Every lane that was started, in order. */
  readonly lanes: SimulatedLane[];
}

export function startThreadIn(shop: LaneWorkshop): StartThread {
  const { world, main, faults, delay, agents, lanes } = shop;
  const { random } = world;
  return (settings, _options, _poller, intake) => {
    const number = lanes.length;
    const thread = world.spawn(`lane ${number}`, (error) => self.lane?.reportStray(error));
    const self: SimulatedLane = { process: thread, lane: undefined, dyingOf: { exitCode: 1, error: new Error("simulated crash") }, dies };
    function dies(inMs: number): void {
      const end = world.spawn(`the end of lane ${number}`, () => {});
      end.channel(world).post(() => {
        world.kill(thread);
        world.kill(end);
      }, inMs);
    }
    lanes.push(self);
    const [data, far] = portPair(world, main, thread, delay);
    data.wiretap = shop.wiretapOf();
    const storePort = settings.store?.port as unknown as SimulatedPort | undefined;
    storePort?.moveTo(thread);
    const toMain = main.channel(world);
    const toLane = thread.channel(world);

    let tellLoaded!: (report: LoadReport) => void;
    const loaded = new Promise<LoadReport>((resolve) => (tellLoaded = resolve));
    let tellExit!: (end: LaneEnd) => void;
    const exited = new Promise<LaneEnd>((resolve) => (tellExit = resolve));
    const transport = new PortTransport(data.asPort, undefined, intake);
    const closed = new Promise<void>((resolve) => transport.onClose(resolve));
    const onDeath = (): void => {
      far.died();
      storePort?.died();
      toMain.post(() => tellExit(self.dyingOf), shop.tellsEndEarly ? 0 : random.pick([0, 0, 1, 20]));
    };
    thread.onDeath = onDeath; // named before: see simulated-globals.ts

    // What run-lane.ts does, over simulated ports.
    // Its thread looks for changed builtins and hides its ports, too: those are of a real thread.
    let store: StoreClient | undefined;
    const boot = (): void => {
      if (storePort !== undefined) store = new StoreClient(new PortTransport(storePort.asPort));
      const fails = faults.happens(random, faults.loadFails);
      if (fails) faults.saw("fault: a lane does not load its agents");
      else {
        self.lane = new Lane({
          transport: new PortTransport(far.asPort),
          table: new SlotTable(settings.segments),
          words: new LaneWords(settings.words),
          agents,
          interruptGraceMs: settings.interruptGraceMs,
          buildTimeoutMs: settings.buildTimeoutMs,
          keeping: store && {
            store,
            logsEvents: settings.store?.logsEvents === true,
            remembersTurns: settings.store?.remembersTurns === true,
          },
        });
      }
      const report: LoadReport = fails ? { ok: false, agent: "default", module: "simulated", reason: "simulated" } : { ok: true };
      toMain.post(() => tellLoaded(report), delay());
    };
    const stop = async (): Promise<void> => {
      await self.lane?.close();
      store?.close();
      far.close();
      self.dyingOf = { exitCode: 0 };
      world.kill(thread);
    };
    toLane.post(boot, random.pick([0, 0, 5, 60]));

    const ended = shop.tellsEndEarly ? exited : Promise.all([exited, closed]).then(([end]) => end);
    let isTold = false;
    void ended.then(() => (isTold = true));
    const onArrival = (): void => {
      if (isTold) world.violate(`N2: lane ${number} is heard after its end was told`);
    };
    data.onArrival = onArrival;

    return {
      transport,
      control: { loaded: () => loaded, openHandle: async () => false, stop: async () => {} },
      ended,
      threadId: number,
      loopTimes: () => undefined,
      stop: () => toLane.post(() => void stop(), delay()),
      kill: () => {
        self.dyingOf = { exitCode: 1, error: new Error("killed") };
        // A thread that is terminated may still do something, also in the middle of a macrotask.
        dies(random.pick([0, 0, 1, 3]));
      },
    };
  };
}
