/** What the server asks of a session service: either of Warren's has it. What only a host with a store can do is optional. */
import type { Answers } from "../host/answers.ts";
import type { SessionService } from "../host/session-service.ts";
import type { SessionId } from "../protocol/ids.ts";
import type { ObservableService } from "./metrics.ts";

export interface ServableService extends SessionService, ObservableService {
  hibernate?(id: SessionId): Promise<void>;
  purge?(id: SessionId): Promise<void>;
  /** What is remembered of answers; absent: in memory. */
  answers?(): Answers;
}
