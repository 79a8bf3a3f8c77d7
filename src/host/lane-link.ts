/** Main's end of a lane's data port: commands go out in batches, reports come in, both are counted. */
import type { LaneCommand, LaneReport } from "../protocol/frames.ts";
import { COMMANDS, REPORTS } from "../protocol/frames.ts";
import { frameReader } from "../transport/codec.ts";
import { Outbox } from "../transport/outbox.ts";
import { traceLane } from "../transport/trace.ts";
import type { FrameTransport } from "../transport/transport.ts";
import type { LaneBacklog } from "./lane-backlog.ts";

const readReports = frameReader<LaneReport>(REPORTS);

export class LaneLink {
  readonly #transport: FrameTransport;
  readonly #outbox: Outbox<LaneCommand>;
  sentFrames = 0;
  sentRecords = 0;
  receivedFrames = 0;
  receivedRecords = 0;

  /**
   * @param lane - its number, for the trace
   * @param backlog - told of every frame that leaves
   * @param onReports - called with every frame's records, in order
   * @param onGarbage - called with a frame that is not ours
   * @param onSend - called before every frame leaves
   */
  constructor(
    lane: number,
    transport: FrameTransport,
    backlog: LaneBacklog,
    onReports: (reports: LaneReport[]) => void,
    onGarbage: (error: unknown) => void,
    onSend?: () => void,
  ) {
    this.#transport = transport;
    const trace = traceLane(lane, COMMANDS, REPORTS);
    this.#outbox = new Outbox<LaneCommand>(
      (frame, records) => {
        this.sentFrames++;
        this.sentRecords += records;
        trace?.sent(frame);
        onSend?.();
        backlog.sent(records, frame.byteLength);
        transport.send(frame, records);
      },
      (command, error) => {
        throw new Error(`a command of opcode ${command[0]} cannot be encoded`, { cause: error });
      },
    );
    transport.onFrame((frame) => {
      trace?.received(frame);
      let reports: LaneReport[];
      try {
        reports = readReports(frame);
      } catch (error) {
        onGarbage(error);
        return;
      }
      this.receivedFrames++;
      this.receivedRecords += reports.length;
      onReports(reports);
    });
  }

  /** Commands waiting for the flush. */
  get waiting(): number {
    return this.#outbox.size;
  }

  /** @param bytes - rough size of the payload, where it may be large */
  send(command: LaneCommand, bytes = 0, mayGather = false): void {
    this.#outbox.append(command, bytes, mayGather);
  }

  /** For commands of any size. @param mayGather - it may wait until the immediates run, so that more go with it */
  sendSized(command: LaneCommand, mayGather = false): void {
    this.#outbox.appendSized(command, mayGather);
  }

  /** Do not wait for the checkpoint. */
  flush(): void {
    this.#outbox.flush();
  }

  share(segment: SharedArrayBuffer): void {
    this.#outbox.flush();
    this.#transport.share(segment);
  }
}
