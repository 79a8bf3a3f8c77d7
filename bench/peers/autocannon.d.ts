/** What is used of autocannon, which has no types of its own. */
declare module "autocannon" {
  export interface Request {
    readonly method: string;
    readonly path: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string;
  }
  export interface Client {
    /** One after the other, over and over. */
    setRequests(requests: readonly Request[]): void;
    on(event: "response", listener: (status: number, bytes: number, ms: number) => void): void;
  }
  export interface Options {
    readonly url: string;
    readonly connections: number;
    /** Seconds. */
    readonly duration: number;
    /** Milliseconds between two looks at whether the time is over. */
    readonly sampleInt: number;
    /** Seconds. */
    readonly timeout: number;
    readonly setupClient: (client: Client) => void;
  }
  export interface Result {
    readonly non2xx: number;
    readonly errors: number;
    readonly timeouts: number;
  }
  export default function autocannon(options: Options): PromiseLike<Result>;
}
