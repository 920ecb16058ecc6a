/** `selvage events`: what happened in the fleet, oldest first, and what happens from now on. */
import { ageText, type Event, resources, wallMsOf } from '#platform/api/mod.ts';
import { type Command, Option } from 'commander';
import { type ApiAccess, openApi } from './api-access.ts';
import type { CommandTools } from './command-tools.ts';
import { type CliContext, CommandFailure, type ExitCode, exitCodes } from './context.ts';
import { definitionNamed } from './explain.ts';
import { coloured, type OutputFormat, printStructured, tableText } from './output.ts';
import { reachable } from './reachable.ts';

interface EventsOptions {
  readonly namespace: string | undefined;
  /** `KIND/NAME`, lower case kind. */
  readonly about: { readonly kind: string; readonly name: string } | undefined;
  readonly warningsOnly: boolean;
  readonly watch: boolean;
  readonly kubeconfigPath: string;
  readonly format: OutputFormat;
}

export function addEventsCommand(program: Command, tools: CommandTools): void {
  program
    .command('events')
    .description('list what happened in the fleet, oldest first')
    .option('-n, --namespace <namespace>', 'of this namespace alone (default: all)')
    .addOption(
      new Option('--for <kind/name>', 'about one object, e.g. pod/web-1').argParser(parseAbout),
    )
    .option('--warnings', 'warnings alone', false)
    .option('-w, --watch', 'stay, and print what happens from now on', false)
    .addOption(tools.kubeconfigOption())
    .addOption(tools.outputOption())
    .action(async (options) => {
      tools.done(
        await events(tools.context, {
          namespace: options.namespace,
          about: options.for,
          warningsOnly: options.warnings,
          watch: options.watch,
          kubeconfigPath: tools.folder(options.kubeconfig),
          format: options.output as OutputFormat,
        }),
      );
    });
}

/** A kind that the program does not know may be a declared one: it is looked for as written. */
export function parseAbout(text: string): { kind: string; name: string } {
  const match = /^([A-Za-z]+)\/([a-z0-9.-]+)$/.exec(text);
  if (match === null) {
    throw new CommandFailure('--for takes KIND/NAME, e.g. pod/web-1.', exitCodes.usage);
  }
  const [, kind = '', name = ''] = match;
  return { kind: (definitionNamed(kind)?.kind ?? kind).toLowerCase(), name };
}

async function events(context: CliContext, options: EventsOptions): Promise<ExitCode> {
  const access = await openApi(context, options.kubeconfigPath);
  const scope = options.namespace === undefined ? {} : { namespace: options.namespace };
  const list = await reachable(access, access.client.list(resources.events, scope));
  const found = (list.items as readonly Event[])
    .filter((event) => isWanted(event, options))
    .toSorted((left, right) => timeOf(left) - timeOf(right));
  const output = context.standardOutput;
  if (options.format !== 'text' && !options.watch) {
    printStructured(output, options.format, found);
    return exitCodes.ok;
  }
  if (found.length === 0 && !options.watch) {
    output.write('No events.\n');
    return exitCodes.ok;
  }
  const nowMs = context.clock.wallMs();
  if (options.format === 'text') {
    output.write(
      tableText(
        ['AGE', 'TYPE', 'REASON', 'OBJECT', 'MESSAGE'],
        found.map((event) => cellsOf(context, event, nowMs)),
      ),
    );
  } else {
    for (const event of found) printOne(context, event, options.format);
  }
  if (!options.watch) return exitCodes.ok;
  return await follow(context, access, options, list.resourceVersion);
}

/** Prints what comes until the user has seen enough. */
function follow(
  context: CliContext,
  access: ApiAccess,
  options: EventsOptions,
  resourceVersion: string,
): Promise<ExitCode> {
  const scope = options.namespace === undefined ? {} : { namespace: options.namespace };
  return new Promise((resolve, reject) => {
    let from = resourceVersion;
    let isOver = false;
    let watch: { close(): void } | undefined;
    const open = (): void => {
      watch = access.client.watch(
        resources.events,
        { ...scope, resourceVersion: from },
        {
          onEvent(change) {
            if (change.type === 'BOOKMARK') {
              from = change.resourceVersion;
              return;
            }
            from = change.object.metadata.resourceVersion ?? from;
            const event = change.object as Event;
            if (change.type === 'DELETED' || !isWanted(event, options)) return;
            printOne(context, event, options.format);
          },
          onEnd(error) {
            if (isOver) return;
            // The server ends a watch in time; anything else is for the user to know.
            if (error === undefined) open();
            else
              reject(
                new CommandFailure(
                  `the server ended the watch (${error.message}).`,
                  exitCodes.unreachable,
                ),
              );
          },
        },
      );
    };
    context.onInterrupt(() => {
      isOver = true;
      watch?.close();
      resolve(exitCodes.ok);
    });
    open();
  });
}

function printOne(context: CliContext, event: Event, format: OutputFormat): void {
  const output = context.standardOutput;
  if (format === 'json') output.write(`${JSON.stringify(event)}\n`);
  else if (format === 'yaml') {
    output.write('---\n');
    printStructured(output, 'yaml', event);
  } else output.write(`${cellsOf(context, event, context.clock.wallMs()).join('  ')}\n`);
}

function isWanted(event: Event, { about, warningsOnly }: EventsOptions): boolean {
  if (warningsOnly && event.type !== 'Warning') return false;
  if (about === undefined) return true;
  const { kind, name } = event.involvedObject;
  return kind?.toLowerCase() === about.kind && name === about.name;
}

export function timeOf(event: Event): number {
  const text = event.lastTimestamp ?? event.eventTime ?? event.metadata.creationTimestamp;
  return text === undefined ? 0 : (wallMsOf(text) ?? 0);
}

export function cellsOf(context: CliContext, event: Event, nowMs: number): string[] {
  const { kind = '', name = '', namespace } = event.involvedObject;
  const times = event.count !== undefined && event.count > 1 ? ` (${event.count} times)` : '';
  const type = event.type ?? 'Normal';
  return [
    ageText(event.lastTimestamp ?? event.metadata.creationTimestamp, nowMs),
    type === 'Warning' ? coloured(context.standardOutput, 'yellow', type) : type,
    event.reason ?? '',
    `${kind.toLowerCase()}/${namespace === undefined ? '' : `${namespace}/`}${name}`,
    `${(event.message ?? '').replaceAll(/\s+/g, ' ')}${times}`,
  ];
}
