/** The command line: names, options and help of every command, and what each runs. */
import { SelvageError } from '#base/mod.ts';
import { auditRetainBytesMaxDefault } from '#platform/audit/mod.ts';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { agentOptions, heartbeatOf, hostPathsOf } from './agent-options.ts';
import { type CliContext, CommandFailure, type ExitCode, exitCodes } from './context.ts';
import { addAuditCommand, parseAuditSize } from './audit.ts';
import { backup } from './backup.ts';
import { createCommandTools } from './command-tools.ts';
import { addCompletionCommands } from './completion.ts';
import { addDoctorCommand } from './doctor.ts';
import { addEventsCommand } from './events.ts';
import { addExplainCommand } from './explain.ts';
import { addKubeconfigCommand } from './kubeconfig.ts';
import { durationParser } from './durations.ts';
import { previewFresh } from './fresh-preview.ts';
import { imageBuild, imagePush } from './image.ts';
import { joinToken } from './join-token.ts';
import { lab, type LabAction } from './lab.ts';
import { revokeNode } from './node-revoke.ts';
import type { OutputFormat } from './output.ts';
import { resolvePath } from './paths.ts';
import { restoreChoice } from './restore-choice.ts';
import { restore } from './restore.ts';
import { watchStatus } from './status-watch.ts';
import { status } from './status.ts';
import { up } from './up.ts';
import { version } from './version.ts';

/** Runs one command line. Messages for people go to the outputs of the context. */
export async function runCommandLine(
  context: CliContext,
  words: readonly string[],
): Promise<ExitCode> {
  let exitCode: ExitCode = exitCodes.ok;
  const program = buildProgram(context, (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(words, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) {
      return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    }
    if (error instanceof CommandFailure) {
      context.standardError.write(`selvage: ${error.message}\n`);
      return error.exitCode;
    }
    // What a module refused on purpose has words for people; anything else is a
    // mistake of ours, and its stack is what helps to find it.
    if (error instanceof SelvageError) {
      context.standardError.write(`selvage: ${error.message}\n`);
      return exitCodes.failed;
    }
    throw error;
  }
}

/** One command as its own help tells of it. */
export interface CommandDescription {
  /** `selvage lab kill [options] <name>` */
  readonly usage: string;
  readonly description: string;
  readonly options: readonly { readonly flags: string; readonly meaning: string }[];
}

/** Every command that does something, in the order of the help. */
export function describeCommands(context: CliContext): readonly CommandDescription[] {
  const found: CommandDescription[] = [];
  const walk = (command: Command, path: string): void => {
    const help = command.createHelp();
    const children = help.visibleCommands(command).filter((child) => child.name() !== 'help');
    if (children.length === 0 || command.registeredArguments.length + command.options.length > 1) {
      found.push({
        usage: `${path} ${command.usage()}`.trim(),
        description: command.description(),
        options: help
          .visibleOptions(command)
          .filter(({ long }) => long !== '--help')
          .map((option) => ({ flags: option.flags, meaning: help.optionDescription(option) })),
      });
    }
    for (const child of children) walk(child, `${path} ${child.name()}`);
  };
  const program = buildProgram(context, () => undefined);
  walk(program, 'selvage');
  return found;
}

function buildProgram(context: CliContext, done: (code: ExitCode) => void): Command {
  const folder = (path: string): string => resolvePath(context.workingDirectory, path);
  const program = new Command('selvage')
    .description(
      'One control plane for fleets of edge nodes. Manifests go in with kubectl;\nthis command starts fleets, builds images and looks after the processes.',
    )
    .configureOutput({
      writeOut: (text) => context.standardOutput.write(text),
      writeErr: (text) => context.standardError.write(text),
      getOutHelpWidth: () => context.standardOutput.columns,
      getErrHelpWidth: () => context.standardError.columns,
    })
    .version(context.productVersion, '-V, --version', 'print the version')
    .exitOverride()
    .showHelpAfterError('(add --help to see what there is)')
    .showSuggestionAfterError();

  const tools = createCommandTools(context, done, folder);
  const { stateOption, outputOption, kubeconfigOption } = tools;
  const heartbeatOption = (): Option =>
    new Option('--heartbeat <duration>', 'how often a node says that it is there, 200ms to 60s')
      .argParser(heartbeatOf)
      .default(2_000, '2s');
  const certificateLifeOption = (): Option =>
    new Option(
      '--node-certificate-life <duration>',
      "how long nodes' certificates live before they are renewed, 10s to 30d",
    ).argParser(parseCertificateLife);
  const apiFrontsOption = (): Option =>
    new Option(
      '--api-fronts <count>',
      'processes of their own that listen for the API, 0 to 16',
    ).argParser(parseFronts);
  program
    .command('up')
    .description('start a whole fleet on this machine and stay in the foreground')
    .addOption(stateOption())
    .option('--fresh', 'forget the fleet in that folder and start over', false)
    .option('--dry-run', 'with --fresh: only say what would be ended and deleted', false)
    .option('--nodes <count>', 'how many agents (a new fleet has 4)', parseCount)
    .option('--api-port <port>', 'where the API of a new fleet listens (default: 7443)', parsePort)
    .option('--link-port <port>', 'where agents of a new fleet connect (default: 7444)', parsePort)
    .option(
      '--pod-network <prefix>',
      "first two numbers of the pods' addresses in a new fleet (default: 127.1)",
      parseNetwork,
    )
    .addOption(heartbeatOption())
    .addOption(certificateLifeOption())
    .addOption(apiFrontsOption())
    .option(
      '--allow-host-path <paths>',
      "folders of this machine that pods may mount by hostPath, separated by ','",
      hostPathsOf,
    )
    .action(async (options) => {
      if (options.dryRun) {
        if (!options.fresh) {
          const words = '--dry-run goes with --fresh: without it, up deletes nothing.';
          throw new CommandFailure(words, exitCodes.usage);
        }
        done(await previewFresh(context, folder(options.state)));
        return;
      }
      done(
        await up(context, {
          stateFolder: folder(options.state),
          fresh: options.fresh,
          nodes: options.nodes,
          apiPort: options.apiPort,
          linkPort: options.linkPort,
          podNetwork: options.podNetwork,
          heartbeatIntervalMs: options.heartbeat,
          nodeCertificateLifeMs: options.nodeCertificateLife,
          apiFronts: options.apiFronts,
          hostPathPrefixes: options.allowHostPath,
        }),
      );
    });

  program
    .command('server')
    .description('run the server: API, controllers, hub and registry in one process')
    .addOption(new Option('--state <folder>', 'folder of the server').makeOptionMandatory())
    .addOption(
      new Option('--api <host:port>', 'where the API listens')
        .argParser(parseAddress)
        .default({ host: '127.0.0.1', port: 7443 }, '127.0.0.1:7443'),
    )
    .addOption(
      new Option('--link <host:port>', 'where agents connect')
        .argParser(parseAddress)
        .default({ host: '127.0.0.1', port: 7444 }, '127.0.0.1:7444'),
    )
    .option(
      '--advertise <host>',
      'by which name or address nodes and people reach this machine (default: where it listens)',
      parseHost,
    )
    .option(
      '--pod-network <prefix>',
      "first two numbers of the pods' addresses",
      parseNetwork,
      '127.1',
    )
    .option(
      '--service-network <prefix>',
      "first two numbers of the services' addresses (default: 128 above the pods')",
      parseNetwork,
    )
    .addOption(heartbeatOption())
    .addOption(certificateLifeOption().default(certificateLifeDefaultMs, '24h'))
    .addOption(
      new Option('--audit-keep <size>', 'how much of the audit log is kept, 1Mi to 64Gi, or none')
        .argParser(parseAuditSize)
        .default(auditRetainBytesMaxDefault, '256Mi'),
    )
    .addOption(apiFrontsOption().default(0))
    .action(async (options) => {
      if (isUnspecified(options.link.host) && options.advertise === undefined) {
        throw new CommandFailure(
          `--link ${options.link.host}:${options.link.port} listens at all addresses, so nodes cannot be told where to connect: name the one by which they reach this machine with --advertise.`,
          exitCodes.usage,
        );
      }
      done(
        await context.runServer({
          stateFolder: folder(options.state),
          advertisedHost: options.advertise,
          apiHost: options.api.host,
          apiPort: options.api.port,
          linkHost: options.link.host,
          linkPort: options.link.port,
          podNetwork: options.podNetwork,
          serviceNetwork: options.serviceNetwork,
          heartbeatIntervalMs: options.heartbeat,
          nodeCertificateLifeMs: options.nodeCertificateLife,
          auditRetainBytesMax: options.auditKeep,
          apiFronts: options.apiFronts,
        }),
      );
    });

  program
    .command('api-front', { hidden: true })
    .description('a process that the server starts to listen for the API')
    .action(async () => done(await context.runApiFront()));

  const agentCommand = program.command('agent').description('run the agent of one node');
  for (const { name, value, description, isRequired, fallback } of agentOptions) {
    const option = new Option(`--${name} ${value}`, description).makeOptionMandatory(isRequired);
    if (name === 'heartbeat') option.argParser(heartbeatOf);
    if (name === 'allow-host-path') option.argParser(hostPathsOf);
    if (name === 'machine') option.choices(['own', 'shared']);
    if (fallback !== undefined) {
      option.default(name === 'heartbeat' ? heartbeatOf(fallback) : fallback, fallback);
    }
    agentCommand.addOption(option);
  }
  agentCommand.action((options) => {
    const { state, name, joinFile, heartbeat, machine, allowHostPath, metrics, runtimes } = options;
    const { address } = options;
    const joinWords = joinFile === undefined ? [] : ['--join-file', joinFile];
    context.becomeAgent([
      ...['--state', state, '--name', name, '--heartbeat', `${heartbeat}ms`],
      ...['--machine', machine],
      ...joinWords,
      ...(address === undefined ? [] : ['--address', address]),
      ...(allowHostPath === undefined ? [] : ['--allow-host-path', allowHostPath.join(',')]),
      ...(metrics === undefined ? [] : ['--metrics', metrics]),
      ...(runtimes === undefined ? [] : ['--runtimes', runtimes]),
    ]);
  });

  program
    .command('status')
    .description('list every process of the fleet on this machine, pods included')
    .addOption(stateOption())
    .option('-w, --watch', 'nodes, links, pods and events of the whole fleet, live', false)
    .option('--kubeconfig <file>', "access to the fleet, for --watch (default: the state folder's)")
    .addOption(outputOption())
    .action(async (options) => {
      const stateFolder = folder(options.state);
      const named: string = options.kubeconfig ?? `${stateFolder}/kubeconfig`;
      done(
        options.watch === true
          ? await watchStatus(context, { kubeconfigPath: folder(named) })
          : await status(context, { stateFolder, format: options.output as OutputFormat }),
      );
    });
  addEventsCommand(program, tools);
  addDoctorCommand(program, tools);
  addExplainCommand(program, tools);
  addAuditCommand(program, tools);

  const labCommand = program
    .command('lab')
    .description('take a part of the fleet away, or bring it back');
  const labActions: readonly (readonly [LabAction, string])[] = [
    ['kill', 'end it at once, as a power cut would'],
    ['stop', 'ask it to end; a node stops its pods first, an agent alone leaves them'],
    ['start', 'start it again; a server is ready once this has ended'],
  ];
  for (const [action, description] of labActions) {
    const command = labCommand
      .command(action)
      .description(description)
      .argument('<name>', 'a node (agent and pods), agent/NODE (the agent alone) or server')
      .addOption(stateOption())
      .action(async (name: string, options) => {
        const stateFolder = folder(options.state);
        const { dryRun = false } = options as { readonly dryRun?: boolean };
        done(await lab(context, { stateFolder, action, name, dryRun }));
      });
    if (action !== 'start') command.option('--dry-run', 'only say what would end', false);
  }

  program
    .command('join-token')
    .description('write the file by which one machine joins the fleet as a node')
    .requiredOption('--site <site>', 'where the machine stands')
    .addOption(
      new Option('--expires <duration>', 'how long it can be used, 1s to 30d')
        .argParser(parseTokenLife)
        .default(600_000, '10m'),
    )
    .option('--file <file>', 'where to write it', 'join.json')
    .addOption(kubeconfigOption())
    .addOption(outputOption())
    .action(async (options) => {
      done(
        await joinToken(context, {
          site: options.site,
          expiresInMs: options.expires,
          file: folder(options.file),
          kubeconfigPath: folder(options.kubeconfig),
          format: options.output as OutputFormat,
        }),
      );
    });

  program
    .command('backup')
    .description('write all that the running server holds into one file, keys included')
    .requiredOption('--file <file>', 'where to write it')
    .addOption(kubeconfigOption())
    .addOption(outputOption())
    .action(async (options) => {
      done(
        await backup(context, {
          filePath: folder(options.file),
          kubeconfigPath: folder(options.kubeconfig),
          format: options.output as OutputFormat,
        }),
      );
    });

  const restoreCommand = program
    .command('restore')
    .description('put a backup into the folder of a server that does not run')
    .option('--state <folder>', 'folder of the server (of a fleet of `up`: FOLDER/server)')
    .option('--input <file>', 'what `selvage backup` wrote')
    .option('--force', 'also where the folder is not empty; what is there is kept beside it', false)
    .option('--dry-run', 'only verify the backup', false)
    .action(async (options) => {
      const { state, input } = options;
      if (state === undefined || input === undefined) {
        throw new CommandFailure('restore takes --state and --input.', exitCodes.usage);
      }
      done(
        await restore(context, {
          stateFolder: folder(state),
          inputPath: folder(input),
          force: options.force,
          dryRun: options.dryRun,
        }),
      );
    });
  const restoreChoices = [
    ['impose', "after a restore: the server's state counts, what only nodes know of is stopped"],
    ['adopt', 'after a restore: take over what the nodes hold and the server lacks'],
  ] as const;
  for (const [choice, description] of restoreChoices) {
    restoreCommand
      .command(choice)
      .description(description)
      .option('--dry-run', 'only say what would be done', false)
      .option('--without-absent', 'also while nodes are away: what only they hold is lost', false)
      .addOption(kubeconfigOption())
      .action(async (options, command) => {
        // `restore` has an option of that name too, and takes it wherever it stands.
        const { dryRun } = command.optsWithGlobals() as { readonly dryRun: boolean };
        done(
          await restoreChoice(context, {
            choice,
            dryRun,
            withoutAbsent: options.withoutAbsent,
            kubeconfigPath: folder(options.kubeconfig),
          }),
        );
      });
  }

  const nodeCommand = program.command('node').description('what is done to a single node');
  nodeCommand
    .command('revoke')
    .description("refuse a node's key from now on, and close its link")
    .argument('<name>', 'name of the node')
    .option('--reason <text>', 'why, kept with the revocation')
    .option('--dry-run', 'only say what would become of the node', false)
    .addOption(kubeconfigOption())
    .addOption(outputOption())
    .action(async (name: string, options) => {
      done(
        await revokeNode(context, {
          name,
          reason: options.reason,
          dryRun: options.dryRun,
          kubeconfigPath: folder(options.kubeconfig),
          format: options.output as OutputFormat,
        }),
      );
    });

  const imageCommand = program
    .command('image')
    .description('build images and push them into the registry of the fleet');
  imageCommand
    .command('build')
    .description('pack a folder with an image.json into an OCI layout')
    .argument('<folder>', 'folder with image.json')
    .option('-o, --output <folder>', 'where to write the layout (default: <folder>/.oci)')
    .action(async (source: string, options) => {
      const outputFolder = folder(options.output ?? `${source}/.oci`);
      done(await imageBuild(context, { folder: folder(source), outputFolder }));
    });
  imageCommand
    .command('push')
    .description('push a folder with an image.json, or an OCI layout, into the registry')
    .argument('<folder>', 'folder with image.json, or an OCI layout')
    .argument('[name]', 'NAME:TAG; taken from image.json when left out')
    .addOption(kubeconfigOption())
    .action(async (source: string, name: string | undefined, options) => {
      done(
        await imagePush(context, {
          source: folder(source),
          name,
          kubeconfigPath: folder(options.kubeconfig),
        }),
      );
    });

  addKubeconfigCommand(program, tools);
  addCompletionCommands(program, tools);
  program
    .command('version')
    .description('print the version of this program and of the Node.js it runs on')
    .addOption(outputOption())
    .action((options) => {
      done(version(context, options.output as OutputFormat));
    });
  return program;
}

function parseCount(text: string): number {
  if (!/^[1-9][0-9]{0,3}$/.test(text))
    throw new InvalidArgumentError('It takes a whole number from 1.');
  return Number(text);
}

function parseFronts(text: string): number {
  if (!/^([0-9]|1[0-6])$/.test(text)) {
    throw new InvalidArgumentError('It takes a whole number from 0 to 16.');
  }
  return Number(text);
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^[0-9]+$/.test(text) || port < 1 || port > 65535) {
    throw new InvalidArgumentError('A port is a number from 1 to 65535.');
  }
  return port;
}

function parseAddress(text: string): { host: string; port: number } {
  const colon = text.lastIndexOf(':');
  if (colon <= 0) throw new InvalidArgumentError('It takes HOST:PORT, e.g. 192.0.2.10:7443.');
  return {
    host: text.slice(0, colon).replace(/^\[|\]$/g, ''),
    port: parsePort(text.slice(colon + 1)),
  };
}

/** A name or an address, as certificates can hold it. */
function parseHost(text: string): string {
  const host = text.replace(/^\[|\]$/g, '');
  if (!/^[A-Za-z0-9.:-]{1,253}$/.test(host) || isUnspecified(host)) {
    throw new InvalidArgumentError('It takes a name or an address, e.g. 192.0.2.10.');
  }
  return host;
}

function isUnspecified(host: string): boolean {
  return host === '0.0.0.0' || /^[0:]+$/.test(host);
}

function parseNetwork(text: string): string {
  const match = /^([0-9]{1,3})\.([0-9]{1,3})$/.exec(text);
  if (match === null || Number(match[1]) > 255 || Number(match[2]) > 255) {
    throw new InvalidArgumentError('It takes two numbers, e.g. 127.1.');
  }
  return text;
}

const dayMs = 86_400_000;
/** Less than ten seconds would leave no time to try a renewal again. */
const certificateLifeMinMs = 10_000;
const certificateLifeDefaultMs = dayMs;
const parseCertificateLife = durationParser(
  certificateLifeMinMs,
  30 * dayMs,
  'from 10s to 30d, e.g. 24h',
);
const parseTokenLife = durationParser(1_000, 30 * dayMs, 'from 1s to 30d, e.g. 10m');
