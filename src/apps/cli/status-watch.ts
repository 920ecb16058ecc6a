/**
 * `selvage status --watch`: the fleet as the API shows it, live: nodes and their
 * links, pods, events. On a terminal a page that redraws itself; elsewhere one
 * line for each change, so that it can be kept or searched.
 */
import {
  type ApiObject,
  type Event,
  type GroupVersionResource,
  type Lease,
  type Node,
  nodeLeaseNamespace,
  type Pod,
  podStatusWord,
  resources,
} from '#platform/api/mod.ts';
import { silentLogger, type Timer } from '#platform/io/mod.ts';
import { createInformer, type Informer } from '#platform/reconcile/mod.ts';
import { type ApiAccess, openApi } from './api-access.ts';
import { type CliContext, type ExitCode, exitCodes } from './context.ts';
import { cellsOf, timeOf } from './events.ts';
import { fleetScreen, type Tone } from './fleet-screen.ts';
import { coloured } from './output.ts';
import { reachable } from './reachable.ts';

const refreshMs = 500;
const leasesEveryMs = 1_000;
/** More than any terminal shows; older ones are `selvage events`. */
const eventsShownMax = 50;
/** Enters and leaves the terminal's other page, so that what was there comes back. */
const enterPage = '\u001b[?1049h\u001b[?25l';
const leavePage = '\u001b[?25h\u001b[?1049l';

export async function watchStatus(
  context: CliContext,
  options: { readonly kubeconfigPath: string },
): Promise<ExitCode> {
  const access = await openApi(context, options.kubeconfigPath);
  // The first answer shows a wrong address or a refused certificate at once.
  await reachable(access, access.client.list(resources.nodes));
  return await (context.standardOutput.isTerminal ? page : lines)(context, access);
}

function page(context: CliContext, access: ApiAccess): Promise<ExitCode> {
  const { standardOutput: output, clock, timers } = context;
  const nodes = informer<Node>(context, access, resources.nodes);
  const pods = informer<Pod>(context, access, resources.pods);
  const events = informer<Event>(context, access, resources.events);
  let leases = new Map<string, Lease>();
  let silentSinceMs: number | undefined;
  let isOver = false;
  const running = new Set<Timer>();
  const every = (periodMs: number, run: () => Promise<void> | void): void => {
    const timer = timers.after(periodMs, () => {
      running.delete(timer);
      void Promise.resolve(run()).then(() => {
        if (!isOver) every(periodMs, run);
      });
    });
    running.add(timer);
  };
  const readLeases = async (): Promise<void> => {
    try {
      const list = await access.client.list(resources.leases, { namespace: nodeLeaseNamespace });
      leases = new Map(list.items.map((lease) => [lease.metadata.name, lease as Lease]));
      silentSinceMs = undefined;
    } catch {
      // Shown on the page; the next second asks again.
      silentSinceMs ??= clock.wallMs();
    }
  };
  const draw = (): void => {
    const nowMs = clock.wallMs();
    const picture = {
      title: `selvage  https://${access.address.host}:${access.address.port}  ${new Date(nowMs).toISOString().slice(11, 19)} UTC`,
      nodes: nodes.list(),
      pods: pods.list(),
      events: events
        .list()
        .toSorted((left, right) => timeOf(left) - timeOf(right))
        .slice(-eventsShownMax),
      leases,
      silentSinceMs,
    };
    const shown = fleetScreen(picture, nowMs, output.columns, output.rows - 1).map((line) =>
      line.map(({ text, tone }) => toned(context, text, tone)).join(''),
    );
    // Each line clears what was to its right, the last what was below: no flicker.
    output.write(`\u001b[H${shown.map((line) => `${line}\u001b[K`).join('\n')}\u001b[J`);
  };
  output.write(enterPage);
  for (const started of [nodes, pods, events]) started.start();
  void readLeases().then(draw);
  every(leasesEveryMs, readLeases);
  every(refreshMs, draw);
  return new Promise((resolve) => {
    context.onInterrupt(() => {
      isOver = true;
      for (const timer of running) timer.cancel();
      for (const started of [nodes, pods, events]) started.close();
      output.write(leavePage);
      resolve(exitCodes.ok);
    });
  });
}

/** One line a change: when, what it is about, what it is now. Events as they happened. */
function lines(context: CliContext, access: ApiAccess): Promise<ExitCode> {
  const { standardOutput: output, clock } = context;
  const print = (about: string, words: string, atWallMs = clock.wallMs()): void => {
    output.write(`${new Date(atWallMs).toISOString()}  ${about}  ${words}\n`);
  };
  const nodes = informer<Node>(context, access, resources.nodes);
  const pods = informer<Pod>(context, access, resources.pods);
  const events = informer<Event>(context, access, resources.events);
  const last = new Map<string, string>();
  const tell = (about: string, words: string): void => {
    if (last.get(about) === words) return;
    last.set(about, words);
    print(about, words);
  };
  const gone = (about: string): void => {
    last.delete(about);
    print(about, 'gone');
  };
  nodes.onChange((change) => {
    const { metadata, status } = change.object;
    const ready = status?.conditions?.find(({ type }) => type === 'Ready');
    const about = `node/${metadata.name}`;
    if (change.type === 'deleted') gone(about);
    else tell(about, ready?.status === 'True' ? 'Ready' : (ready?.reason ?? 'NotReady'));
  });
  pods.onChange((change) => {
    const pod = change.object;
    const about = `pod/${pod.metadata.namespace ?? ''}/${pod.metadata.name}`;
    if (change.type === 'deleted') gone(about);
    else
      tell(
        about,
        `${podStatusWord(pod)}${pod.spec.nodeName === undefined ? '' : ` on ${pod.spec.nodeName}`}`,
      );
  });
  const printEvent = (event: Event): void => {
    const [, type, reason, about, message] = cellsOf(context, event, clock.wallMs());
    print('event', `${type} ${reason} ${about}: ${message}`, timeOf(event));
  };
  // Those that are there already come in the order of their names, and are told in that of time.
  let earlier: Event[] | undefined = [];
  events.onChange((change) => {
    if (change.type === 'deleted') return;
    if (earlier === undefined) printEvent(change.object);
    else earlier.push(change.object);
  });
  void events.whenSynced().then(() => {
    const inOrder = (earlier ?? []).toSorted((left, right) => timeOf(left) - timeOf(right));
    earlier = undefined;
    for (const event of inOrder) printEvent(event);
  });
  for (const started of [nodes, pods, events]) started.start();
  return new Promise((resolve) => {
    context.onInterrupt(() => {
      for (const started of [nodes, pods, events]) started.close();
      resolve(exitCodes.ok);
    });
  });
}

function informer<Kind extends ApiObject>(
  context: CliContext,
  access: ApiAccess,
  resource: GroupVersionResource,
): Informer<Kind> {
  const { timers, random } = context;
  // What fails shows as silence of the server; the informer tries again by itself.
  return createInformer<Kind>(access.client, resource, { timers, random, logger: silentLogger });
}

function toned(context: CliContext, text: string, tone: Tone): string {
  const { standardOutput } = context;
  switch (tone) {
    case 'good':
      return coloured(standardOutput, 'green', text);
    case 'bad':
      return coloured(standardOutput, 'red', text);
    case 'warn':
      return coloured(standardOutput, 'yellow', text);
    case 'dim':
      return coloured(standardOutput, 'dim', text);
    case 'head':
      return coloured(standardOutput, 'bold', text);
    case 'plain':
      return text;
  }
}
