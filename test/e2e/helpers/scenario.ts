/**
 * Golden scenarios: scripts of shell commands with what they print, which read as
 * tutorials. Each runs in a namespace of its own, in `test/scenarios/files`.
 *
 *     # Why the next lines are there.
 *     $ kubectl get pods
 *     > -o wide
 *     No resources found in scenario-first namespace.
 *     [exit 1]
 *
 * `$ ` begins a command and `> ` goes on with it; what follows is its output, both
 * streams, and `[exit N]` where N is not 0. `? ` in place of `$ ` asks again until the
 * answer is the expected one. What differs from run to run is replaced by a word.
 */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { projectFolder } from './fleet.ts';
import { run } from './kubectl.ts';

interface Step {
  /** The lines before it, as they stand. */
  readonly comment: readonly string[];
  readonly isAwaited: boolean;
  readonly command: string;
  readonly expected: string;
}

export interface ScenarioPlace {
  /** Of an administrator; a copy is made for the scenario. */
  readonly kubeconfig: string;
  /** An empty folder for what the scenario writes. */
  readonly folder: string;
  /** Program that the word `kubectl` stands for. */
  readonly kubectl: string;
  /** Whether what is printed becomes what is expected. */
  readonly rewrite: boolean;
}

export interface ScenarioResult {
  /** The scenario as it went; equal to the file where all was as expected. */
  readonly actual: string;
  readonly expected: string;
}

const awaitedTimeoutMs = 40_000;
const askAgainMs = 300;

export async function runScenario(path: string, place: ScenarioPlace): Promise<ScenarioResult> {
  const namespace = `scenario-${basename(place.folder)}`.replaceAll('.', '-');
  const expected = readFileSync(path, 'utf8');
  const kubeconfig = join(place.folder, 'kubeconfig');
  copyFileSync(place.kubeconfig, kubeconfig);
  const folders = { HOME: place.folder, SCENARIO_FOLDER: place.folder };
  const environment = { ...process.env, ...folders, KUBECONFIG: kubeconfig, KUBE_EDITOR: 'true' };
  const bin = join(place.folder, 'bin');
  mkdirSync(bin);
  const programs = {
    kubectl: `${place.kubectl} --cache-dir ${place.folder}/cache`,
    selvage: join(projectFolder, 'selvage'),
  };
  for (const [program, words] of Object.entries(programs)) {
    writeFileSync(join(bin, program), `#!/bin/sh\nexec ${words} "$@"\n`, { mode: 0o755 });
  }
  const script = (command: string): string =>
    [`export PATH=${bin}:$PATH`, 'exec 2>&1', command].join('\n');
  const shell = async (command: string): Promise<string> => {
    const { status, stdout } = await run('bash', ['-c', script(command)], {
      cwd: join(projectFolder, 'test/scenarios/files'),
      env: environment,
    });
    const text = settled(stdout, place.folder, namespace);
    return status === 0 ? text : `${text}[exit ${status}]\n`;
  };

  await shell(`kubectl create namespace ${namespace}`);
  await shell(`kubectl config set-context --current --namespace=${namespace}`);
  const { steps, end } = parseScenario(expected);
  const lines: string[] = [];
  try {
    for (const step of steps) {
      let printed = await shell(step.command);
      const deadline = Date.now() + awaitedTimeoutMs;
      while (step.isAwaited && printed !== step.expected && Date.now() < deadline) {
        await wait(askAgainMs);
        printed = await shell(step.command);
      }
      const [first = '', ...more] = step.command.split('\n');
      lines.push(...step.comment, `${step.isAwaited ? '?' : '$'} ${first}`);
      lines.push(...more.map((line) => `> ${line}`));
      if (printed !== '') lines.push(printed.trimEnd());
    }
  } finally {
    await shell(`kubectl delete namespace ${namespace} --wait=false`);
  }
  const actual = [...lines, ...end, ''].join('\n');
  if (place.rewrite && actual !== expected) writeFileSync(path, actual);
  return { actual, expected };
}

function parseScenario(text: string): { steps: readonly Step[]; end: readonly string[] } {
  const steps: Step[] = [];
  let comment: string[] = [];
  let current: { isAwaited: boolean; command: string; output: string[] } | undefined;
  const finish = (): void => {
    if (current === undefined) return;
    const { isAwaited, command, output } = current;
    const expected = output.length === 0 ? '' : `${output.join('\n')}\n`;
    steps.push({ comment, isAwaited, command, expected });
    comment = [];
    current = undefined;
  };
  for (const line of text.replace(/\n$/, '').split('\n')) {
    if (line.startsWith('$ ') || line.startsWith('? ')) {
      finish();
      current = { isAwaited: line.startsWith('? '), command: line.slice(2), output: [] };
    } else if (line.startsWith('> ') && current !== undefined && current.output.length === 0) {
      current.command += `\n${line.slice(2)}`;
    } else if (line === '' || (line.startsWith('#') && current === undefined)) {
      // Comments follow an empty line; outputs have none left.
      finish();
      comment.push(line);
    } else if (current === undefined) {
      throw new Error(`a scenario has a line before its first command: ${line}`);
    } else {
      current.output.push(line);
    }
  }
  finish();
  return { steps, end: comment };
}

/** Replaces what differs from one run to the next. */
function settled(text: string, folder: string, namespace: string): string {
  return (
    text
      .replaceAll(folder, '<folder>')
      .replaceAll(namespace, '<namespace>')
      // Said by newer versions of kubectl alone.
      .replaceAll(' from <namespace> namespace', '')
      .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g, '<time>')
      .replaceAll(/[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}/g, '<time>')
      .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, '<uid>')
      .replaceAll(/sha256:[0-9a-f]{64}/g, 'sha256:<digest>')
      .replaceAll(/127(?:\.\d{1,3}){3}:\d{4,5}/g, '<endpoint>')
      .replaceAll(/127(?:\.\d{1,3}){3}/g, '<address>')
      .replaceAll(/(resourceVersion"?: ?)"\d+"/g, '$1"<revision>"')
      .replaceAll(
        /-[bcdfghjklmnpqrstvwxz2456789]{8,10}-[bcdfghjklmnpqrstvwxz2456789]{5}\b/g,
        '-<pod>',
      )
      .replaceAll(
        /\b(\w+(?:-\w+)*)-(?=[a-z]*\d)[bcdfghjklmnpqrstvwxz2456789]{8,10}\b/g,
        '$1-<hash>',
      )
      .replaceAll(/(?<=\s|^|\()(?:\d+d)?(?:\d+h)?(?:\d+m)?\d+(?:s|m|h|d)(?=\s|$|\))/gm, '<age>')
      .split('\n')
      .map((line) => line.trimEnd().replaceAll(/(?<=\S)(?: {2,}|\t+ *)/g, '  '))
      .filter((line, index, all) => line !== '' || index === all.length - 1)
      .join('\n')
  );
}
