/**
 * Completion scripts, made from the program's own commands and options, so that they say what the program takes. A script holds everything:
 * no process is started while somebody types.
 */
import type { Argument, Command, Option } from "commander";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/** What may stand in a place: one of these words, or the path of a file. Neither: nobody knows. */
interface Values {
  readonly words: readonly string[];
  readonly isPath: boolean;
}

interface OptionFacts extends Values {
  /** All of its names: `-V`, `--version`. */
  readonly names: readonly string[];
  readonly about: string;
  readonly takesValue: boolean;
}

/** A command, by the words that lead to it. */
interface CommandFacts {
  /** `sessions list`; empty: the program itself. */
  readonly path: string;
  readonly subcommands: readonly { readonly name: string; readonly about: string }[];
  readonly options: readonly OptionFacts[];
  readonly argument: Values;
}

/** @returns the script, to be read by the shell */
export function completionScript(shell: Shell, program: Command): string {
  const commands = factsOf(program, []);
  switch (shell) {
    case "bash":
      return bashScript(commands);
    case "zsh":
      return zshScript(commands);
    case "fish":
      return fishScript(commands);
    default:
      return shell satisfies never;
  }
}

function factsOf(command: Command, path: readonly string[]): CommandFacts[] {
  const help = command.createHelp();
  const children = command.commands;
  return [
    {
      path: path.join(" "),
      subcommands: children.map((child) => ({ name: child.name(), about: child.description() })),
      options: help.visibleOptions(command).map(optionFacts),
      argument: argumentValues(command.registeredArguments),
    },
    ...children.flatMap((child) => factsOf(child, [...path, child.name()])),
  ];
}

function optionFacts(option: Option): OptionFacts {
  return {
    names: [option.short, option.long].filter((name) => name !== undefined),
    about: option.description,
    takesValue: option.required || option.optional,
    words: option.argChoices ?? [],
    isPath: isPathLike(option.flags),
  };
}

function argumentValues(args: readonly Argument[]): Values {
  return {
    words: args.flatMap((argument) => argument.argChoices ?? []),
    isPath: args.some((argument) => isPathLike(`<${argument.name()}>`)),
  };
}

const isPathLike = (usage: string): boolean => /<(file|dir|agent)>/.test(usage);
/** For words of a shell in single quotes. Descriptions are ours; a quote in one would end the string. */
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
/** For one line of help. */
const short = (text: string): string => text.replace(/\s*\(default: .*\)$/s, "").replaceAll(/\s+/g, " ");

const HOW_TO: Readonly<Record<Shell, string>> = {
  bash: 'eval "$(warren completion bash)", in ~/.bashrc',
  zsh: 'eval "$(warren completion zsh)", in ~/.zshrc behind compinit',
  fish: "warren completion fish | source, in ~/.config/fish/config.fish",
};
const head = (shell: Shell): string => `# Completion of warren for ${shell}: ${HOW_TO[shell]}`;

/** Words behind which stands a value: the command's path and the option. */
function valueCases(commands: readonly CommandFacts[], line: (values: Values) => string): string[] {
  return commands.flatMap(({ path, options }) =>
    options
      .filter(({ takesValue }) => takesValue)
      .map((option) => `    ${option.names.map((name) => quoted(`${path}|${name}`)).join("|")}) ${line(option)};;`),
  );
}

/** Which command the words before the cursor lead to; values of options are passed over. The same lines do for bash and zsh. */
function pathLoop(commands: readonly CommandFacts[], first: number, words: string, cursor: string): string {
  const withValue = commands.flatMap(({ path, options }) =>
    options.filter(({ takesValue }) => takesValue).flatMap(({ names }) => names.map((name) => quoted(`${path}|${name}`))),
  );
  const steps = commands.filter(({ path }) => path !== "").map(({ path }) => quoted(path));
  return `  local i="${first}" word where="" next
  while [ "$i" -lt "${cursor}" ]; do
    word="${words}"
    case "$where|$word" in ${withValue.join("|")}) i=$((i + 2)); continue;; esac
    next="$where\${where:+ }$word"
    case "$next" in ${steps.join("|")}) where="$next";; esac
    i=$((i + 1))
  done`;
}

function bashScript(commands: readonly CommandFacts[]): string {
  const reply = (words: readonly string[]): string => `COMPREPLY=($(compgen -W ${quoted(words.join(" "))} -- "$cur"))`;
  const line = ({ words, isPath }: Values): string =>
    words.length > 0 ? reply(words) : isPath ? 'compopt -o default 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur"))' : "COMPREPLY=()";
  const offers = commands.map(({ path, subcommands, options, argument }) => {
    const names = options.flatMap((option) => option.names.filter((name) => name.startsWith("--")));
    const rest = subcommands.length > 0 ? reply(subcommands.map(({ name }) => name)) : line(argument);
    return `    ${quoted(path)}) case "$cur" in -*) ${reply(names)};; *) ${rest};; esac;;`;
  });
  return `${head("bash")}
_warren() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD-1]}"
${pathLoop(commands, 1, "${COMP_WORDS[i]}", "$COMP_CWORD")}
  COMPREPLY=()
  case "$where|$prev" in
${valueCases(commands, (values) => `${line(values)}; return`).join("\n")}
  esac
  case "$where" in
${offers.join("\n")}
  esac
}
complete -F _warren warren
`;
}

function zshScript(commands: readonly CommandFacts[]): string {
  const described = (pairs: readonly (readonly [name: string, about: string])[]): string =>
    `offers=(${pairs.map(([name, about]) => quoted(`${name.replaceAll(":", "\\:")}:${short(about)}`)).join(" ")}); _describe warren offers`;
  const line = ({ words, isPath }: Values): string =>
    words.length > 0 ? `compadd -- ${words.map(quoted).join(" ")}` : isPath ? "_files" : ":";
  const offers = commands.map(({ path, subcommands, options, argument }) => {
    const names = options.flatMap(({ names: all, about }) =>
      all.filter((name) => name.startsWith("--")).map((name) => [name, about] as const),
    );
    const rest = subcommands.length > 0 ? described(subcommands.map(({ name, about }) => [name, about] as const)) : line(argument);
    return `    ${quoted(path)}) case "$cur" in -*) ${described(names)};; *) ${rest};; esac;;`;
  });
  return `#compdef warren
${head("zsh")}
_warren() {
  local cur="\${words[CURRENT]}" prev="\${words[CURRENT-1]}"
  local -a offers
${pathLoop(commands, 2, "${words[i]}", "$CURRENT")}
  case "$where|$prev" in
${valueCases(commands, (values) => `${line(values)}; return`).join("\n")}
  esac
  case "$where" in
${offers.join("\n")}
  esac
}
compdef _warren warren
`;
}

function fishScript(commands: readonly CommandFacts[]): string {
  const lines = commands.flatMap(({ path, subcommands, options, argument }) => {
    const condition = `-n ${quoted(`__warren_at ${path === "" ? "''" : `"${path}"`}`)}`;
    const values = ({ words, isPath }: Values): string => (words.length > 0 ? ` -f -a ${quoted(words.join(" "))}` : isPath ? " -F" : " -f");
    return [
      ...subcommands.map(({ name, about }) => `complete -c warren ${condition} -f -a ${name} -d ${quoted(short(about))}`),
      ...(subcommands.length === 0 && (argument.isPath || argument.words.length > 0)
        ? [`complete -c warren ${condition}${values(argument)}`]
        : [`complete -c warren ${condition} -f`]),
      ...options.map(({ names, about, takesValue, ...value }) => {
        const flags = names.map((name) => (name.startsWith("--") ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`)).join(" ");
        return `complete -c warren ${condition} ${flags} -d ${quoted(short(about))}${takesValue ? ` -r${values(value)}` : ""}`;
      }),
    ];
  });
  const steps = commands.filter(({ path }) => path !== "").map(({ path }) => quoted(path));
  const withValue = commands.flatMap(({ path, options }) =>
    options.filter(({ takesValue }) => takesValue).flatMap(({ names }) => names.map((name) => quoted(`${path}|${name}`))),
  );
  return `${head("fish")}
function __warren_at
    set -l where ''
    set -l skip no
    for word in (commandline -opc)[2..]
        if test $skip = yes
            set skip no
            continue
        end
        if contains -- "$where|$word" ${withValue.join(" ")}
            set skip yes
            continue
        end
        set -l next (string trim -- "$where $word")
        contains -- "$next" ${steps.join(" ")}; and set where "$next"
    end
    test "$where" = "$argv[1]"
end
${lines.join("\n")}
`;
}
