/** A server that a command talks to, instead of a host or a store of its own. */
import { WarrenClient, WarrenClientError } from "../client/index.ts";
import { UsageError } from "./command-io.ts";

export interface RemoteOptions {
  /** Of the server; else WARREN_URL. */
  readonly url?: string | undefined;
  /** A bearer key; else WARREN_KEY. */
  readonly key?: string | undefined;
}

/** @returns where the server is, when the caller says so by flag or environment */
export function remoteUrl({ url }: RemoteOptions, env: NodeJS.ProcessEnv): string | undefined {
  return url ?? (env["WARREN_URL"] === "" ? undefined : env["WARREN_URL"]);
}

/** @throws UsageError when nobody said where the server is, or that is no address */
export function openClient(options: RemoteOptions, env: NodeJS.ProcessEnv): WarrenClient {
  const url = remoteUrl(options, env);
  if (url === undefined) throw new UsageError("option '--url <url>' is needed, or the environment variable WARREN_URL");
  if (!URL.canParse(url) || !/^https?:/.test(url))
    throw new UsageError(
      `${options.url === undefined ? "environment variable WARREN_URL" : "option '--url <url>'"}: must be an http or https URL`,
    );
  const key = options.key ?? env["WARREN_KEY"];
  return new WarrenClient({ url, ...(key !== undefined && key !== "" && { key }) });
}

/** @returns what the caller is told when the server is not there, or does not let him in; undefined: it is about what he asked */
export function remoteRefusal(error: unknown): UsageError | undefined {
  if (!(error instanceof WarrenClientError)) return undefined;
  if (error.status === 401 || error.status === 403) return new UsageError(`option '--key <key>', or WARREN_KEY: ${error.message}`);
  if (error.code === "CONNECTION_FAILED") return new UsageError(`option '--url <url>', or WARREN_URL: ${error.message}`);
  return undefined;
}
