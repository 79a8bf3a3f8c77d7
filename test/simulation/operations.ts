/** What a driver may do, and how often it does it. */
import type { Driver } from "./driver.ts";
import type { ModelSession } from "./model.ts";
import type { Random } from "./random.ts";

interface Operation {
  readonly weight: number;
  readonly name: string;
  readonly run: (driver: Driver, session: ModelSession) => void;
}

type Row = readonly [weight: number, name: string, run: Operation["run"]];

const ROWS: readonly Row[] = [
  [40, "startTurn", (driver, session) => void driver.start(session)],
  [
    14,
    "interruptTurn",
    (driver, session) => {
      const turn = driver.anyTurn(session);
      if (turn !== undefined) driver.interruptTurn(session, turn);
    },
  ],
  [8, "interrupt", (driver, session) => driver.interrupt(session)],
  [3, "cancelAfterBoundary", (driver, session) => driver.cancelAfterBoundary(session)],
  [5, "abort", (driver) => driver.abort()],
  [9, "appendSystemContext", (driver, session) => driver.stage(session)],
  [4, "applyRuntimeSystemContext", (driver, session) => driver.apply(session)],
  [6, "exportSession", (driver, session) => driver.export(session)],
  [3, "forkSession", (driver, session) => driver.fork(session)],
  [3, "readHistory", (driver, session) => driver.history(session)],
  [3, "loadPersisted", (driver, session) => driver.persisted(session)],
  [3, "read", (driver, session) => driver.read(session)],
  [2, "list", (driver) => driver.list()],
  [10, "hibernate", (driver, session) => driver.hibernate(session)],
  [3, "archive", (driver, session) => driver.archive(session)],
  [4, "discardLiveSession", (driver, session) => driver.discard(session)],
  [8, "move to another lane", (driver, session) => driver.move(session)],
  [1, "releaseQuarantine", (driver, session) => driver.release(session)],
  [1, "purge", (driver, session) => driver.purge(session)],
  [1, "cancelAllCheckpointers", (driver) => driver.checkpointers()],
  [1, "waitSessionRegistered", (driver) => driver.registered()],
  [6, "subscribeSessionEvents", (driver, session) => driver.readers.subscribe(session)],
  [8, "read a subscription", (driver) => driver.readers.poll()],
];
const OPERATIONS: readonly Operation[] = ROWS.map(([weight, name, run]) => ({ weight, name, run }));
const WEIGHTS = OPERATIONS.reduce((sum, { weight }) => sum + weight, 0);

export function pickOperation(random: Random): Operation {
  let at = random.below(WEIGHTS);
  return OPERATIONS.find(({ weight }) => (at -= weight) < 0) as Operation;
}
