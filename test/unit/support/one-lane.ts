/** A lane without a thread: the real `Lane` behind a memory pipe, driven by the records main would send. */
import { LaneWords } from "../../../src/core/lane-words.ts";
import { SlotTable } from "../../../src/core/slot-table.ts";
import { ticketWord } from "../../../src/core/tickets.ts";
import * as turnLock from "../../../src/core/turn-lock.ts";
import { defineAgent } from "../../../src/lane/define-agent.ts";
import type { LaneSeat } from "../../../src/lane/serve-lane.ts";
import { Lane } from "../../../src/lane/serve-lane.ts";
import type { Keeping } from "../../../src/lane/session-keeper.ts";
import type { SessionAgentBuilder, SimpleAgentDefinition, TurnFunction } from "../../../src/protocol/agent.ts";
import type { LaneCommand, LaneReport, TurnExtras, WireCreateRequest } from "../../../src/protocol/frames.ts";
import { COMMANDS, REPORTS, TURN_FLAGS } from "../../../src/protocol/frames.ts";
import { encodeFrame, frameReader } from "../../../src/transport/codec.ts";
import { memoryPipe } from "../../../src/transport/memory-transport.ts";
import type { FrameTransport } from "../../../src/transport/transport.ts";

const read = frameReader<LaneReport>(REPORTS);
const isBuilder = (agent: object): agent is SessionAgentBuilder => "buildAgent" in agent;

export class OneLane {
  readonly table = new SlotTable();
  readonly words = new LaneWords();
  readonly lane: Lane;
  /** What the lane said, in order. */
  readonly reports: LaneReport[] = [];
  /** Called at each report, as it is read. */
  onReport: ((report: LaneReport) => void) | undefined;
  readonly #main: FrameTransport;
  #slots = 0;
  #tickets = 1000;

  /**
   * @param keeping - where its sessions are kept; undefined: nowhere
   * @param seat - what else it is given
   */
  constructor(
    agent: SessionAgentBuilder | SimpleAgentDefinition | TurnFunction,
    interruptGraceMs = 60_000,
    keeping?: Keeping,
    seat?: Partial<LaneSeat>,
  ) {
    this.table.addSegment();
    const [main, lane] = memoryPipe();
    this.#main = main;
    main.onFrame((frame) => {
      for (const report of read(frame)) {
        this.reports.push(report);
        this.onReport?.(report);
      }
    });
    const builder = isBuilder(agent) ? agent : defineAgent(agent);
    const { table, words } = this;
    this.lane = new Lane({
      transport: lane,
      table,
      words,
      agents: new Map([["a", builder]]),
      interruptGraceMs,
      buildTimeoutMs: 60_000,
      keeping,
      ...seat,
    });
  }

  /** Sessions to come get slots from there on. */
  skipSlots(to: number): void {
    this.#slots = to;
  }

  /** Send records as one frame. */
  send(...commands: LaneCommand[]): void {
    this.sendBytes(encodeFrame(commands));
  }

  /** Send what may be a frame. */
  sendBytes(frame: Uint8Array): void {
    this.#main.send(frame);
  }

  /** @returns the slot of a new session, built */
  async create(build?: WireCreateRequest["build"]): Promise<number> {
    const slot = this.#slots++;
    const generation = this.table.claim(slot);
    this.send([COMMANDS.CREATE.op, slot, generation, `s${slot}`, "a", { prompt: "", ...(build && { build }) }]);
    await this.until(() => this.reports.some((report) => report[1] === slot && report[0] <= REPORTS.BUILD_FAILED.op));
    return slot;
  }

  /** Admit a turn, as main does. @returns the word of its ticket, and its command */
  admit(slot: number, prompt = "q", flags: number = TURN_FLAGS.hasConsumer, extras?: TurnExtras): { word: number; command: LaneCommand } {
    const ticket = ++this.#tickets;
    const word = ticketWord(ticket);
    if (!turnLock.tryLock(this.table, slot, word)) throw new Error(`slot ${slot} is locked`);
    return { word, command: [COMMANDS.TURN.op, slot, this.generation(slot), ticket, prompt, flags, extras] };
  }

  /** Start a turn. @returns the word of its ticket */
  start(slot: number, prompt = "q", flags?: number): number {
    const { word, command } = this.admit(slot, prompt, flags);
    this.send(command);
    return word;
  }

  /** Ask for the interrupt of the running turn, as main does. */
  interrupt(slot: number): string {
    const answer = turnLock.requestInterrupt(this.table, slot);
    this.words.ring();
    this.send([COMMANDS.WAKE.op]);
    return answer;
  }

  generation(_slot: number): number {
    return 1; // slots are used once here
  }

  /** @returns the turn's outcome: its text, or its error's kind */
  async outcome(word: number): Promise<string> {
    const find = (): LaneReport | undefined =>
      this.reports.find((report) => (report[0] === REPORTS.RESULT.op || report[0] === REPORTS.FAILED.op) && report[3] === word);
    await this.until(() => find() !== undefined);
    const report = find();
    if (report?.[0] === REPORTS.RESULT.op) return report[4];
    return report?.[0] === REPORTS.FAILED.op ? (report[4].agentError?.kind ?? report[4].code) : "nothing";
  }

  /** Events of a turn as [seq, payload], in the order they came. */
  events(word: number): [number, object][] {
    return this.reports.flatMap((report) =>
      report[0] === REPORTS.EVENT.op && report[3] === word ? [[report[4], report[6]] as [number, object]] : [],
    );
  }

  /** Opcodes of what was said about a turn, in order. */
  said(word: number): number[] {
    return this.reports.filter((report) => report[3] === word && report[0] !== REPORTS.CONTEXT_TAKEN.op).map(([op]) => op);
  }

  /** Turns the event loop until the condition holds; the test's own limit catches what never comes. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise((resolve) => setImmediate(resolve));
  }

  close(): Promise<void> {
    return this.lane.close();
  }
}
