/** The flags of commands that talk to a server. */
import { Option } from "commander";

import { filePath } from "./option-values.ts";

export const urlOption = (): Option => new Option("--url <url>", "of a server; default: WARREN_URL").argParser(filePath);
export const keyOption = (): Option =>
  new Option("--key <key>", "for that server; default: WARREN_KEY, which other users of the machine cannot see").argParser(filePath);
