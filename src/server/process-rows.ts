/** Metrics of the process and of the main thread, under the names that Node programs have for them everywhere. */
import type { MetricRow } from "./metric-rows.ts";
import { one } from "./metric-rows.ts";
import type { LoopDelay } from "./process-reading.ts";

const lag = (name: string, what: string, of: keyof LoopDelay): MetricRow => ({
  name: `nodejs_eventloop_lag_${name}seconds`,
  type: "gauge",
  help: `How late main's event loop was since the last scrape: ${what}.`,
  read: ({ loop }) => one(loop[of]),
});

export const PROCESS_ROWS: readonly MetricRow[] = [
  {
    name: "process_cpu_user_seconds_total",
    type: "counter",
    help: "User CPU time of all threads, in seconds.",
    read: ({ process: { cpu } }) => one(cpu.user / 1e6),
  },
  {
    name: "process_cpu_system_seconds_total",
    type: "counter",
    help: "System CPU time of all threads, in seconds.",
    read: ({ process: { cpu } }) => one(cpu.system / 1e6),
  },
  {
    name: "process_cpu_seconds_total",
    type: "counter",
    help: "User and system CPU time of all threads, in seconds.",
    read: ({ process: { cpu } }) => one((cpu.user + cpu.system) / 1e6),
  },
  {
    name: "process_start_time_seconds",
    type: "gauge",
    help: "When the process began, in seconds of the Unix epoch.",
    read: ({ process: { startedS } }) => one(startedS),
  },
  {
    name: "process_resident_memory_bytes",
    type: "gauge",
    help: "Memory of the whole process.",
    read: ({ process: { memory } }) => one(memory.rss),
  },
  {
    name: "process_open_fds",
    type: "gauge",
    help: "Open file descriptors, sockets among them. On Linux only.",
    read: ({ process: { openFds } }) => one(openFds),
  },
  {
    name: "nodejs_heap_size_total_bytes",
    type: "gauge",
    help: "Heap of the main thread.",
    read: ({ process: { memory } }) => one(memory.heapTotal),
  },
  {
    name: "nodejs_heap_size_used_bytes",
    type: "gauge",
    help: "What is used of it.",
    read: ({ process: { memory } }) => one(memory.heapUsed),
  },
  {
    name: "nodejs_external_memory_bytes",
    type: "gauge",
    help: "What the main thread's objects hold outside its heap.",
    read: ({ process: { memory } }) => one(memory.external),
  },
  {
    name: "nodejs_active_resources",
    type: "gauge",
    help: "What keeps the main thread's loop alive, by kind.",
    labels: ["type"],
    read: ({ process: { resources } }) => [...resources].map(([type, value]) => ({ labels: { type }, value })),
  },
  {
    name: "nodejs_gc_duration_seconds",
    type: "histogram",
    help: "Seconds of garbage collections in the main thread, by kind.",
    labels: ["kind"],
    read: ({ process: { gc } }) => [...gc].map(([kind, counts]) => ({ labels: { kind }, bounds: counts.bounds, ...counts.counted() })),
  },
  lag("min_", "least", "min"),
  lag("max_", "most", "max"),
  lag("mean_", "on average", "mean"),
  lag("stddev_", "standard deviation", "stddev"),
  lag("p50_", "half of the time not more", "p50"),
  lag("p90_", "nine times of ten not more", "p90"),
  lag("p99_", "99 times of 100 not more", "p99"),
  {
    name: "nodejs_version_info",
    type: "gauge",
    help: "1; the label says which Node it is.",
    labels: ["version"],
    read: () => [{ labels: { version: process.version }, value: 1 }],
  },
];
