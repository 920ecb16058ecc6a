/** What `selvage doctor` looks at in the fleet: its processes here, and what its API says. */
import { X509Certificate } from 'node:crypto';
import { textOf } from '#base/mod.ts';
import {
  conditionOf,
  durationText,
  type Node,
  type Pod,
  podStatusWord,
  resources,
} from '#platform/api/mod.ts';
import { type ApiAccess, openApi, requestApi } from './api-access.ts';
import type { CliContext } from './context.ts';
import type { Check, Finding } from './doctor.ts';
import { fleetExists, openFleet } from './fleet.ts';
import { damageOfIdentity, type IdentityDamage, joinAnewCommands } from './identity-files.ts';
import { refusalWords } from './refusal.ts';
import { selvageWords, splitPath } from './paths.ts';
import { fleetProcesses } from './status.ts';

const clockDifferenceWarnMs = 5_000;
const certificateLeftWarnMs = 7 * 86_400_000;
const namedMax = 5;

export function fleetChecks(
  context: CliContext,
  options: { readonly stateFolder: string; readonly kubeconfigPath: string },
): Check[] {
  let access: ApiAccess | undefined;
  let isServing = false;
  const whenServing = async (look: (api: ApiAccess) => Promise<Finding>): Promise<Finding> =>
    access !== undefined && isServing
      ? await look(access)
      : { outcome: 'skipped', message: 'the server does not answer' };
  return [
    { name: 'processes here', look: () => processes(context, options.stateFolder) },
    { name: 'identities here', look: () => identities(context, options) },
    {
      name: 'access',
      look: async () => {
        const { folder, name } = splitPath(options.kubeconfigPath);
        if ((await context.diskAt(folder).readFile(name, 4 * 1024 * 1024)) === undefined) {
          return {
            outcome: 'skipped',
            message: `no kubeconfig at ${options.kubeconfigPath}: no fleet to look at`,
          };
        }
        access = await openApi(context, options.kubeconfigPath);
        return certificate(context, access);
      },
    },
    {
      name: 'server',
      look: async () => {
        if (access === undefined) return { outcome: 'skipped', message: 'no access' };
        const finding = await server(context, access);
        isServing = finding.outcome !== 'failed';
        return finding;
      },
    },
    { name: 'nodes', look: () => whenServing(nodes) },
    { name: 'pods', look: () => whenServing(pods) },
  ];
}

async function processes(context: CliContext, stateFolder: string): Promise<Finding> {
  if (!(await fleetExists(context, stateFolder))) {
    return { outcome: 'skipped', message: `no fleet in ${stateFolder}` };
  }
  const found = await fleetProcesses(await openFleet(context, stateFolder));
  const stopped = found.filter(({ state }) => state === 'stopped').map(({ name }) => name);
  if (stopped.length === 0) return { outcome: 'ok', message: `${found.length} run` };
  const isAll = stopped.length === found.length;
  return {
    outcome: 'warning',
    message: isAll ? 'none runs' : `not running: ${some(stopped)}`,
    mend: isAll
      ? `'selvage up --state ${stateFolder}' starts them`
      : stopped
          .slice(0, namedMax)
          .map((name) => `selvage lab start ${name.replace('agent/', '')}`)
          .join('; '),
  };
}

/** Of the nodes of a fleet of this machine, or of the one agent whose state folder it is. */
async function identities(
  context: CliContext,
  { stateFolder, kubeconfigPath }: { stateFolder: string; kubeconfigPath: string },
): Promise<Finding> {
  const program = selvageWords(context);
  if (!(await fleetExists(context, stateFolder))) {
    const damage = await damageOfIdentity(context.diskAt(stateFolder));
    if (damage === undefined) return { outcome: 'ok', message: 'none is damaged' };
    const joinFile = '/etc/selvage/join.json';
    const words = { nodeName: 'NODE', stateFolder, joinFile, site: 'SITE', program };
    return {
      outcome: 'failed',
      message: damageText(damage),
      mend: `put it back from a copy; or ${joinAnewCommands(words).join(' && ')}, and start the agent with --join-file ${joinFile}`,
    };
  }
  const fleet = await openFleet(context, stateFolder);
  const damages: string[] = [];
  const mends: string[] = [];
  for (const { name: nodeName, site } of fleet.file.nodes) {
    const inside = `nodes/${nodeName}`;
    const damage = await damageOfIdentity(fleet.disk.within(inside));
    if (damage === undefined) continue;
    damages.push(damageText(damage));
    const lab = (words: string): string => `${program} lab ${words} --state ${stateFolder}`;
    const isRunning = (await fleet.running(`agent-${nodeName}`)) !== undefined;
    const commands = joinAnewCommands({
      ...{ nodeName, site, program, kubeconfigPath },
      ...{ stateFolder: fleet.path(inside), joinFile: fleet.path(`${inside}/join.json`) },
    });
    mends.push(
      [
        ...(isRunning ? [lab(`stop agent/${nodeName}`)] : []),
        ...commands,
        lab(`start agent/${nodeName}`),
      ].join(' && '),
    );
  }
  if (damages.length === 0) return { outcome: 'ok', message: 'none is damaged' };
  return { outcome: 'failed', message: some(damages), mend: mends.slice(0, namedMax).join(' ; ') };
}

function damageText({ path, why }: IdentityDamage): string {
  return `${path} is damaged: ${why}`;
}

function certificate(context: CliContext, { tls }: ApiAccess): Finding {
  const pem = tls.credentials?.certificatePem;
  if (pem === undefined) return { outcome: 'skipped', message: 'no client certificate' };
  const { validTo, subject } = new X509Certificate(pem);
  const leftMs = Date.parse(validTo) - context.clock.wallMs();
  const who = subject.replaceAll('\n', ', ');
  if (leftMs <= 0) {
    return {
      outcome: 'failed',
      message: `the certificate of ${who} has expired`,
      mend: "delete the server's kubeconfig and start the server again: it writes a new one",
    };
  }
  const message = `${who}, for another ${durationText(leftMs)}`;
  if (leftMs > certificateLeftWarnMs) return { outcome: 'ok', message };
  return { outcome: 'warning', message, mend: 'take a new kubeconfig before it ends' };
}

async function server(context: CliContext, access: ApiAccess): Promise<Finding> {
  const before = context.clock.wallMs();
  let answer;
  try {
    answer = await requestApi(access, 'GET', '/readyz');
  } catch (error) {
    return {
      outcome: 'failed',
      message: error instanceof Error ? error.message : String(error),
      mend: "'selvage lab start server', or 'selvage up'; its log is logs/server.log in the state folder",
    };
  }
  if (answer.status !== 200) {
    return {
      outcome: 'failed',
      message: `it is not ready: ${refusalWords(answer.bytes)}`,
      mend: 'docs/operations tells what to do about it; reads go on meanwhile',
    };
  }
  const tookMs = context.clock.wallMs() - before;
  const date = answer.headers['date'];
  const theirs = date === undefined ? undefined : Date.parse(date);
  const version = await requestApi(access, 'GET', '/version');
  const { gitVersion } = JSON.parse(textOf(version.bytes)) as { gitVersion?: string };
  const message = `${gitVersion ?? 'unknown version'} answers in ${tookMs} ms`;
  const readiness = textOf(answer.bytes).trim();
  if (readiness !== 'ok') {
    return {
      outcome: 'warning',
      message: `${message}; it says: ${readiness}`,
      mend: 'make room on the disk of its state folder, or mend it; nothing is to be restarted',
    };
  }
  // The header has whole seconds.
  const differenceMs = theirs === undefined ? 0 : Math.abs(before - theirs) - 1_000;
  if (differenceMs > clockDifferenceWarnMs) {
    return {
      outcome: 'warning',
      message: `${message}; its clock differs by ${durationText(differenceMs)}`,
      mend: 'set both clocks by NTP: certificates and token lives are counted on them',
    };
  }
  return { outcome: 'ok', message };
}

async function nodes({ client }: ApiAccess): Promise<Finding> {
  const found = (await client.list(resources.nodes)).items as readonly Node[];
  if (found.length === 0) {
    return {
      outcome: 'warning',
      message: 'none has joined',
      mend: "'selvage join-token --site SITE' lets one in",
    };
  }
  const bad = found.filter(
    (node) => conditionOf(node.status?.conditions, 'Ready')?.status !== 'True',
  );
  const cordoned = found.filter(({ spec }) => spec?.unschedulable === true);
  const note = cordoned.length === 0 ? '' : `; cordoned: ${some(cordoned.map(named))}`;
  if (bad.length === 0) return { outcome: 'ok', message: `${found.length} ready${note}` };
  const reasons = bad.map((node) => {
    const reason = conditionOf(node.status?.conditions, 'Ready')?.reason;
    return `${node.metadata.name}${reason === undefined ? '' : ` (${reason})`}`;
  });
  return {
    outcome: 'failed',
    message: `not ready: ${some(reasons)} of ${found.length}${note}`,
    mend: `'selvage events --warnings' and 'kubectl describe node ${bad[0]?.metadata.name ?? ''}' say why`,
  };
}

async function pods({ client }: ApiAccess): Promise<Finding> {
  const found = (await client.list(resources.pods)).items as readonly Pod[];
  const bad = found
    .map((pod) => ({ pod, word: podStatusWord(pod) }))
    .filter(
      ({ word }) => !['Running', 'Completed', 'Succeeded', 'ContainerCreating'].includes(word),
    );
  if (bad.length === 0) return { outcome: 'ok', message: `${found.length}, none in trouble` };
  const [first] = bad;
  const { namespace = 'default', name = '' } = first?.pod.metadata ?? {};
  return {
    outcome: 'warning',
    message: some(bad.map(({ pod, word }) => `${named(pod)} ${word}`)),
    mend: `'selvage events --for pod/${name}' or 'kubectl -n ${namespace} describe pod ${name}' says why`,
  };
}

function named({ metadata }: Node | Pod): string {
  return metadata.namespace === undefined
    ? metadata.name
    : `${metadata.namespace}/${metadata.name}`;
}

function some(words: readonly string[]): string {
  const more = words.length - namedMax;
  return `${words.slice(0, namedMax).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
