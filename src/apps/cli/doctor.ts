/**
 * `selvage doctor`: looks at the machine and at the fleet, and says of everything
 * that is not as it should be what that means and how to mend it. It changes
 * nothing but a folder of its own below the system's temporary one.
 *
 * Exit code 0: nothing failed; 1: something did. Warnings do not fail.
 */
import type { Command } from 'commander';
import type { CommandTools } from './command-tools.ts';
import { type CliContext, type ExitCode, exitCodes } from './context.ts';
import { fleetChecks } from './doctor-fleet.ts';
import { machineChecks } from './doctor-machine.ts';
import { coloured, type OutputFormat, printStructured } from './output.ts';

export interface Finding {
  readonly outcome: 'ok' | 'warning' | 'failed' | 'skipped';
  /** What was found, in one line. */
  readonly message: string;
  /** What to do about it; for warnings and failures. */
  readonly mend?: string;
}

export interface Check {
  /** A few words: what is looked at. */
  readonly name: string;
  /** A throw counts as failed. */
  look(): Promise<Finding>;
}

export function addDoctorCommand(program: Command, tools: CommandTools): void {
  program
    .command('doctor')
    .description('check this machine and the fleet, and say what to mend')
    .addOption(tools.stateOption())
    .option(
      '--kubeconfig <file>',
      "access to the fleet (default: $KUBECONFIG, or the state folder's)",
    )
    .addOption(tools.outputOption())
    .action(async (options) => {
      const stateFolder = tools.folder(options.state);
      const named: string | undefined =
        options.kubeconfig ?? tools.context.environment['KUBECONFIG'];
      tools.done(
        await doctor(tools.context, {
          stateFolder,
          kubeconfigPath: tools.folder(named ?? `${options.state as string}/kubeconfig`),
          format: options.output as OutputFormat,
        }),
      );
    });
}

async function doctor(
  context: CliContext,
  options: { stateFolder: string; kubeconfigPath: string; format: OutputFormat },
): Promise<ExitCode> {
  const output = context.standardOutput;
  const groups = [
    { title: 'This machine', checks: machineChecks(context, options.stateFolder) },
    { title: 'The fleet', checks: fleetChecks(context, options) },
  ];
  const results: (Finding & { group: string; check: string })[] = [];
  for (const { title, checks } of groups) {
    if (options.format === 'text') output.write(`${coloured(output, 'bold', title)}\n`);
    for (const check of checks) {
      const finding = await lookAt(check);
      results.push({ group: title, check: check.name, ...finding });
      if (options.format === 'text') output.write(findingText(context, check.name, finding));
    }
  }
  const failed = results.filter(({ outcome }) => outcome === 'failed').length;
  const warnings = results.filter(({ outcome }) => outcome === 'warning').length;
  if (options.format === 'text') {
    output.write(`\n${results.length} checks, ${failed} failed, ${warnings} with a warning\n`);
  } else {
    printStructured(output, options.format, { failed, warnings, checks: results });
  }
  return failed === 0 ? exitCodes.ok : exitCodes.failed;
}

async function lookAt(check: Check): Promise<Finding> {
  try {
    return await check.look();
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error);
    return { outcome: 'failed', message: `it could not be looked at: ${words}` };
  }
}

const marks = { ok: 'ok  ', warning: 'warn', failed: 'FAIL', skipped: 'skip' } as const;
const markColours = { ok: 'green', warning: 'yellow', failed: 'red', skipped: 'dim' } as const;

function findingText(
  context: CliContext,
  name: string,
  { outcome, message, mend }: Finding,
): string {
  const mark = coloured(context.standardOutput, markColours[outcome], marks[outcome]);
  const lines = [`  ${mark}  ${name}: ${message}`];
  if (mend !== undefined) lines.push(`        → ${mend}`);
  return `${lines.join('\n')}\n`;
}
