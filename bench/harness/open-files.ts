/** How many files, sockets among them, the system lets a process have open. */

/** What a process has open besides. */
const OTHERS = 200;

/** @throws Error when this process may not have so many sockets. Where the system does not tell, nothing happens */
export function assertOpenFiles(sockets: number): void {
  const { userLimits } = process.report.getReport() as { userLimits?: { open_files?: { soft: number | "unlimited" } } };
  const limit = userLimits?.open_files?.soft;
  if (typeof limit === "number" && limit < sockets + OTHERS)
    throw new Error(`${sockets} streams need ${sockets + OTHERS} open files, and the limit is ${limit}: raise it with ulimit -n`);
}
