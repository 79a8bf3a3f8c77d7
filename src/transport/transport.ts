/** The seam between host and lane: a two-way pipe of whole frames, in order, with a side door for shared memory. */
export interface FrameTransport {
  /**
   * Queue one frame and give it away: its buffer, all of which must be the frame, is moved to the receiver and is empty here from now
   * on. Never waits; what bounds the pipe is credits, one layer up.
   *
   * @param records - how many records it holds. Default 1
   */
  send(frame: Uint8Array, records?: number): void;
  /** Hand over a segment of the slot table, in order with the frames. */
  share(segment: SharedArrayBuffer): void;
  onFrame(listener: (frame: Uint8Array) => void): void;
  onShare(listener: (segment: SharedArrayBuffer) => void): void;
  /** Fires exactly once, after the last frame, when either side closed or its thread ended. */
  onClose(listener: () => void): void;
  /** Frames sent before it still arrive; sending afterwards does nothing. */
  close(): void;
}
