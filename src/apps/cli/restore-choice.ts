/** `selvage restore adopt|impose`: settles whose history counts after a restore. */
import { textOf, utf8 } from '#base/mod.ts';
import { openApi, requestApi } from './api-access.ts';
import { type CliContext, CommandFailure, type ExitCode, exitCodes } from './context.ts';
import { refusalWords } from './refusal.ts';

const linesMax = 200;

interface Answer {
  readonly incarnation?: string;
  readonly epoch?: number;
  readonly counts: Readonly<Record<string, number>>;
  readonly outcomes: readonly {
    readonly object: string;
    readonly nodeName: string;
    readonly outcome: string;
    readonly remark?: string;
  }[];
  readonly failed: readonly { readonly nodeName: string; readonly why: string }[];
  readonly remarks: readonly string[];
  readonly absent: readonly string[];
}

export async function restoreChoice(
  context: CliContext,
  options: {
    readonly choice: 'impose' | 'adopt';
    readonly dryRun: boolean;
    readonly withoutAbsent: boolean;
    readonly kubeconfigPath: string;
  },
): Promise<ExitCode> {
  const { choice, dryRun, withoutAbsent } = options;
  const access = await openApi(context, options.kubeconfigPath);
  const answer = await requestApi(access, 'POST', '/apis/selvage.dev/v1/incarnations', {
    contentType: 'application/json',
    bytes: utf8(JSON.stringify({ choice, dryRun, withoutAbsent })),
  });
  if (answer.status !== 201 && answer.status !== 200) {
    throw new CommandFailure(`not settled: ${refusalWords(answer.bytes)}`);
  }
  const settled = JSON.parse(textOf(answer.bytes)) as Answer;
  const lines = [...(choice === 'adopt' ? adoptedLines(settled) : [])];
  for (const name of settled.absent) lines.push(`node ${name} is not connected: not looked at`);
  for (const { nodeName, why } of settled.failed)
    lines.push(`node ${nodeName} gave nothing: ${why}`);
  if (lines.length > linesMax) {
    lines.splice(linesMax, lines.length, `and ${lines.length - linesMax} more`);
  }
  lines.push(lastLine(choice, dryRun, settled));
  context.standardOutput.write(`${lines.join('\n')}\n`);
  return exitCodes.ok;
}

function adoptedLines({ outcomes, counts, remarks }: Answer): string[] {
  const lines = outcomes.map(({ object, nodeName, outcome, remark }) => {
    const more = remark === undefined ? '' : `: ${remark}`;
    return `${outcome}: ${object}, from node ${nodeName}${more}`;
  });
  const count = (outcome: string): number => counts[outcome] ?? 0;
  return [
    ...lines,
    ...remarks,
    `${count('taken in')} taken in, ${count('brought up to date')} brought up to date, ` +
      `${count('present')} the same, ${count('refused')} refused`,
  ];
}

function lastLine(choice: 'impose' | 'adopt', dryRun: boolean, settled: Answer): string {
  if (dryRun) return 'nothing was changed: this was only tried.';
  const { incarnation, epoch } = settled;
  const kept = `What nodes held and the server did not take is kept below history/ in its state folder.`;
  return (
    `the state of the server counts${choice === 'adopt' ? ', with what was taken in' : ''}, as epoch ${epoch}, ` +
    `incarnation ${incarnation}. Changes are taken again; the nodes follow within seconds. ${kept}`
  );
}
