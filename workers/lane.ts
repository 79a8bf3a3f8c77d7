/** Thread entry of a lane: piscina calls the default export with the lane's task. */
export { runLane as default } from "../src/lane/run-lane.ts";
