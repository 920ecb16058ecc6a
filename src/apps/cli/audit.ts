/**
 * `selvage audit`: who asked the server for what, read from the files of its state
 * folder, and `selvage audit verify`: whether they are as they were written.
 */
import { type AuditEntry, type AuditEvent, readAudit, verifyAudit } from '#platform/audit/mod.ts';
import { wallMsOf } from '#platform/api/mod.ts';
import type { Disk } from '#platform/io/mod.ts';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { CommandTools } from './command-tools.ts';
import { type CliContext, CommandFailure, type ExitCode, exitCodes } from './context.ts';
import { durationParser } from './durations.ts';
import { coloured, type OutputFormat, printStructured, tableText } from './output.ts';

const dayMs = 86_400_000;
const parseSince = durationParser(1_000, 3_650 * dayMs, 'from 1s to 3650d, e.g. 1h');
const tailDefault = 100;

interface Filters {
  readonly user: string | undefined;
  readonly verb: string | undefined;
  readonly resource: string | undefined;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly decision: string | undefined;
  readonly code: string | undefined;
  readonly sinceMs: number | undefined;
}

export function addAuditCommand(program: Command, tools: CommandTools): void {
  const auditCommand = program
    .command('audit')
    .description("who asked the server for what, from the files of the server's state folder");
  auditCommand
    .command('show', { isDefault: true })
    .description('list what was asked, oldest first')
    .addOption(tools.stateOption())
    .option('--user <name>', 'of this user alone')
    .option('--verb <verb>', 'e.g. create, delete, watch')
    .option('--resource <plural>', 'e.g. pods, or pods/log')
    .option('-n, --namespace <namespace>', 'in this namespace alone')
    .option('--name <name>', 'about objects of this name')
    .addOption(
      new Option('--decision <decision>', 'what the server let pass or refused').choices([
        'allow',
        'forbid',
      ]),
    )
    .addOption(
      new Option('--code <code>', 'status of the answer, e.g. 404 or 4xx').argParser(parseCode),
    )
    .addOption(new Option('--since <duration>', 'not older than that').argParser(parseSince))
    .addOption(
      new Option('--tail <count>', 'at most so many, the newest')
        .argParser(parseTail)
        .default(tailDefault),
    )
    .addOption(tools.outputOption())
    .action(async (options) => {
      const disk = await auditDisk(tools.context, tools.folder(options.state));
      const filters: Filters = { ...options, sinceMs: options.since };
      const shown = { filters, tail: options.tail, format: options.output as OutputFormat };
      tools.done(await show(tools.context, disk, shown));
    });
  auditCommand
    .command('verify')
    .description('hold every line against the hashes; names the first one that does not fit')
    .addOption(tools.stateOption())
    .addOption(
      new Option('--head <line:hash>', 'what an earlier verify has printed').argParser(parseHead),
    )
    .action(async (options) => {
      const disk = await auditDisk(tools.context, tools.folder(options.state));
      tools.done(await verify(tools.context, disk, options.head));
    });
}

/** How much is kept, as people write it: `256Mi`, `2Gi`, `none`. Bytes; 0 for `none`. */
export function parseAuditSize(text: string): number {
  if (text === 'none') return 0;
  const match = /^([1-9][0-9]{0,4})(Mi|Gi)$/.exec(text);
  const sizeBytes = Number(match?.[1]) * (match?.[2] === 'Gi' ? 1024 ** 3 : 1024 ** 2);
  if (match === null || sizeBytes > 64 * 1024 ** 3) {
    throw new InvalidArgumentError('It takes a size from 1Mi to 64Gi, e.g. 256Mi, or none.');
  }
  return sizeBytes;
}

function parseCode(text: string): string {
  if (!/^[1-5]([0-9]{2}|xx)$/.test(text)) {
    throw new InvalidArgumentError('It takes a status such as 404 or 4xx.');
  }
  return text;
}

function parseTail(text: string): number {
  if (!/^[1-9][0-9]{0,8}$/.test(text)) {
    throw new InvalidArgumentError('It takes a whole number from 1.');
  }
  return Number(text);
}

function parseHead(text: string): { readonly sequence: number; readonly chain: string } {
  const match = /^([0-9]{1,15}):([0-9a-f]{64})$/.exec(text);
  if (match === null) {
    throw new InvalidArgumentError("It takes LINE:HASH, as 'selvage audit verify' prints them.");
  }
  return { sequence: Number(match[1]), chain: match[2] ?? '' };
}

/** Of the server in a fleet's folder, or of a server's own folder. */
async function auditDisk(context: CliContext, folder: string): Promise<Disk> {
  const disk = context.diskAt(folder);
  for (const inside of ['server/audit', 'audit']) {
    if ((await disk.list(inside)).length > 0) return disk.within(inside);
  }
  throw new CommandFailure(
    `there is no audit log below ${folder}: --state names the folder of a fleet, or of a server that runs without --audit-keep none.`,
  );
}

async function show(
  context: CliContext,
  disk: Disk,
  {
    filters,
    tail,
    format,
  }: { readonly filters: Filters; readonly tail: number; readonly format: OutputFormat },
): Promise<ExitCode> {
  const found: AuditEntry[] = [];
  let skipped = 0;
  const since = filters.sinceMs === undefined ? 0 : context.clock.wallMs() - filters.sinceMs;
  for await (const entry of readAudit(disk, () => (skipped += 1))) {
    if (!isWanted(entry, filters, since)) continue;
    found.push(entry);
    if (found.length > tail * 2) found.splice(0, found.length - tail);
  }
  const shown = found.slice(-tail);
  const output = context.standardOutput;
  if (format !== 'text') printStructured(output, format, shown);
  else if (shown.length === 0) output.write('Nothing that was asked for is in the audit log.\n');
  else {
    output.write(
      tableText(
        ['TIME', 'USER', 'VERB', 'OBJECT', 'CODE', 'DECISION', 'FROM'],
        shown.map((entry) => cellsOf(context, entry)),
      ),
    );
  }
  if (skipped > 0) {
    context.standardError.write(
      `selvage: ${skipped} lines could not be read: 'selvage audit verify' says where.\n`,
    );
  }
  return exitCodes.ok;
}

/** Marks of the log itself are shown where nothing is filtered but by time. */
function isWanted(entry: AuditEntry, filters: Filters, sinceWallMs: number): boolean {
  const time = entry.kind === 'Mark' ? entry.timestamp : entry.stageTimestamp;
  if ((wallMsOf(time) ?? 0) < sinceWallMs) return false;
  const { user, verb, resource, namespace, name, decision, code } = filters;
  const wanted = [user, verb, resource, namespace, name, decision, code];
  if (entry.kind === 'Mark') {
    return wanted.every((value) => value === undefined) && entry.mark !== 'segment';
  }
  const status = String(entry.responseStatus.code);
  return (
    (user === undefined || entry.user.username === user) &&
    (verb === undefined || entry.verb === verb) &&
    (resource === undefined || resource === resourceOf(entry)) &&
    (namespace === undefined || entry.objectRef?.namespace === namespace) &&
    (name === undefined || entry.objectRef?.name === name) &&
    (decision === undefined || decisionOf(entry) === decision) &&
    (code === undefined || status === code || `${status.slice(0, 1)}xx` === code)
  );
}

function resourceOf({ objectRef }: AuditEvent): string | undefined {
  if (objectRef === undefined) return undefined;
  const { resource, subresource } = objectRef;
  return subresource === undefined ? resource : `${resource}/${subresource}`;
}

function decisionOf({ annotations }: AuditEvent): string {
  return annotations['authorization.k8s.io/decision'] ?? '';
}

function cellsOf(context: CliContext, entry: AuditEntry): readonly string[] {
  if (entry.kind === 'Mark') {
    const lost = entry.lostEvents === undefined ? '' : `${entry.lostEvents} `;
    return [entry.timestamp, '-', entry.mark, `${lost}${entry.message}`, '', '', ''];
  }
  const { objectRef, user, verb, stage, responseStatus, sourceIPs, stageTimestamp } = entry;
  const path = [objectRef?.namespace, objectRef?.name].filter((part) => part !== undefined);
  const object =
    objectRef === undefined ? entry.requestURI : [resourceOf(entry), ...path].join(' ');
  const decision = decisionOf(entry);
  return [
    stageTimestamp,
    user.username,
    stage === 'ResponseStarted' ? `${verb} (begins)` : verb,
    object,
    String(responseStatus.code),
    decision === 'forbid' ? coloured(context.standardOutput, 'red', decision) : decision,
    sourceIPs.join(','),
  ];
}

async function verify(
  context: CliContext,
  disk: Disk,
  expected: ReturnType<typeof parseHead> | undefined,
): Promise<ExitCode> {
  const { fault, head, lines, segments, declared } = await verifyAudit(disk, expected);
  const output = context.standardOutput;
  for (const words of declared) output.write(`declared  ${words}\n`);
  if (fault !== undefined) {
    const place = fault.line === 0 ? fault.file : `${fault.file}:${fault.line}`;
    throw new CommandFailure(
      `the audit log is not as it was written: ${place}: ${fault.what}. ` +
        `${lines} lines before it fit.`,
    );
  }
  output.write(`${lines} lines in ${segments} segments fit\n`);
  if (head !== undefined) output.write(`head  ${head.sequence}:${head.chain}\n`);
  return exitCodes.ok;
}
