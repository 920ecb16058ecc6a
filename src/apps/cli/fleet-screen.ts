/**
 * What `selvage status --watch` shows: nodes with their links, pods, and what
 * happened last, cut to the size of the terminal. Pure: what is known goes in,
 * lines come out. Pods that want attention come first, so that a cut hides those
 * that are well.
 */
import {
  ageText,
  conditionOf,
  durationText,
  type Event,
  type Lease,
  type Node,
  type Pod,
  podStatusWord,
  wallMsOf,
} from '#platform/api/mod.ts';

export type Tone = 'good' | 'bad' | 'warn' | 'dim' | 'head' | 'plain';
export interface Cell {
  readonly text: string;
  readonly tone: Tone;
}
export type Line = readonly Cell[];

export interface FleetPicture {
  readonly title: string;
  readonly nodes: readonly Node[];
  readonly pods: readonly Pod[];
  /** By name of the node: when it was last heard of. */
  readonly leases: ReadonlyMap<string, Lease>;
  readonly events: readonly Event[];
  /** Since when the server has not answered; undefined while it does. */
  readonly silentSinceMs: number | undefined;
}

const eventLinesMin = 4;
const eventLinesMax = 12;
/** Title, section heads and the blank lines between them. */
const frameLines = 9;

const plain = (text: string): Cell => ({ text, tone: 'plain' });
const head = (text: string): Cell => ({ text, tone: 'head' });

/** At most `rows` lines of at most `columns` places. */
export function fleetScreen(
  picture: FleetPicture,
  nowMs: number,
  columns: number,
  rows: number,
): readonly Line[] {
  const { nodes, pods, events } = picture;
  const ready = nodes.filter(isReady).length;
  const words = new Map<string, number>();
  for (const pod of pods) {
    const word = podStatusWord(pod);
    words.set(word, (words.get(word) ?? 0) + 1);
  }
  const room = Math.max(6, rows - frameLines);
  const eventRows = Math.min(eventLinesMax, Math.max(eventLinesMin, events.length), room);
  const left = Math.max(2, room - eventRows);
  const nodeRows = Math.min(nodes.length, Math.max(1, Math.floor(left / 2)));
  const podRows = Math.max(1, left - nodeRows);

  const podText = [...words]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([word, n]) => `${n} ${word}`);
  const lines: Line[] = [
    [head(picture.title), ...silence(picture.silentSinceMs, nowMs)],
    [],
    [
      head(`NODES  `),
      { text: `${ready} of ${nodes.length} ready`, tone: ready === nodes.length ? 'good' : 'bad' },
    ],
    ...cut(
      table(['NAME', 'REGION', 'SITE', 'STATE', 'HEARD', 'PODS'], nodeLines(picture, nowMs)),
      nodeRows + 1,
      'nodes',
    ),
    [],
    [head('PODS  '), plain(podText.length === 0 ? 'none' : podText.join(', '))],
    ...cut(
      table(['NAMESPACE/NAME', 'STATE', 'READY', 'RESTARTS', 'NODE', 'AGE'], podLines(pods, nowMs)),
      podRows + 1,
      'pods',
    ),
    [],
    [head('EVENTS')],
    ...eventLines(events, nowMs, eventRows),
  ];
  return lines.slice(0, rows).map((line) => clip(line, columns));
}

function silence(sinceMs: number | undefined, nowMs: number): Cell[] {
  if (sinceMs === undefined) return [];
  const text = `  the server has not answered for ${durationText(nowMs - sinceMs)}: what follows is what was known then`;
  return [{ text, tone: 'bad' }];
}

function isReady(node: Node): boolean {
  return conditionOf(node.status?.conditions, 'Ready')?.status === 'True';
}

function nodeLines({ nodes, pods, leases }: FleetPicture, nowMs: number): Line[] {
  const counts = new Map<string, number>();
  for (const { spec } of pods) {
    if (spec.nodeName !== undefined)
      counts.set(spec.nodeName, (counts.get(spec.nodeName) ?? 0) + 1);
  }
  return nodes
    .toSorted(
      (a, b) =>
        Number(isReady(a)) - Number(isReady(b)) || compare(a.metadata.name, b.metadata.name),
    )
    .map((node) => {
      const { name, labels } = node.metadata;
      const renewed = leases.get(name)?.spec?.renewTime;
      return [
        plain(name),
        plain(labels?.['topology.kubernetes.io/region'] ?? ''),
        plain(labels?.['selvage.dev/site'] ?? ''),
        nodeState(node),
        plain(renewed === undefined ? 'never' : heardText(renewed, nowMs)),
        plain(String(counts.get(name) ?? 0)),
      ];
    });
}

function nodeState(node: Node): Cell {
  const condition = conditionOf(node.status?.conditions, 'Ready');
  const word = condition?.status === 'True' ? 'Ready' : (condition?.reason ?? 'NotReady');
  if (node.spec?.unschedulable === true) return { text: `${word}, cordoned`, tone: 'warn' };
  return { text: word, tone: condition?.status === 'True' ? 'good' : 'bad' };
}

function heardText(renewed: string, nowMs: number): string {
  const atMs = wallMsOf(renewed);
  if (atMs === undefined) return 'never';
  const ageMs = Math.max(0, nowMs - atMs);
  return ageMs < 10_000 ? `${(ageMs / 1000).toFixed(1)}s ago` : `${durationText(ageMs)} ago`;
}

function podLines(pods: readonly Pod[], nowMs: number): Line[] {
  const well = new Set(['Running', 'Succeeded', 'Completed']);
  return pods
    .map((pod) => ({ pod, word: podStatusWord(pod) }))
    .toSorted(
      (a, b) =>
        Number(well.has(a.word)) - Number(well.has(b.word)) ||
        compare(nameOf(a.pod), nameOf(b.pod)),
    )
    .map(({ pod, word }) => {
      const statuses = pod.status?.containerStatuses ?? [];
      const restarts = statuses.reduce((sum, { restartCount }) => sum + restartCount, 0);
      const ready = statuses.filter((status) => status.ready).length;
      return [
        plain(nameOf(pod)),
        { text: word, tone: well.has(word) ? 'good' : word === 'Pending' ? 'warn' : 'bad' },
        plain(`${ready}/${pod.spec.containers.length}`),
        plain(String(restarts)),
        plain(pod.spec.nodeName ?? ''),
        plain(ageText(pod.metadata.creationTimestamp, nowMs)),
      ];
    });
}

function eventLines(events: readonly Event[], nowMs: number, rows: number): Line[] {
  return events.slice(-rows).map((event) => {
    const { kind = '', name = '' } = event.involvedObject;
    const words = `${ageText(event.lastTimestamp ?? event.metadata.creationTimestamp, nowMs).padEnd(6)}${event.reason ?? ''} ${kind.toLowerCase()}/${name}: ${(event.message ?? '').replaceAll(/\s+/g, ' ')}`;
    return [{ text: `  ${words}`, tone: event.type === 'Warning' ? 'warn' : 'plain' }];
  });
}

function nameOf(pod: Pod): string {
  return `${pod.metadata.namespace ?? ''}/${pod.metadata.name}`;
}

function compare(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

function table(titles: readonly string[], rows: readonly Line[]): Line[] {
  const all: Line[] = [titles.map((text) => ({ text, tone: 'dim' })), ...rows];
  const widths = titles.map((_, column) =>
    all.reduce((widest, row) => Math.max(widest, row[column]?.text.length ?? 0), 0),
  );
  return all.map((row) => [
    plain('  '),
    ...row.map(({ text, tone }, column) => ({
      text: text.padEnd((widths[column] ?? 0) + 2),
      tone,
    })),
  ]);
}

/** Says how many did not fit. The first line is the table's head. */
function cut(lines: readonly Line[], linesMax: number, what: string): readonly Line[] {
  if (lines.length <= linesMax) return lines;
  const shown = Math.max(1, linesMax - 1);
  return [
    ...lines.slice(0, shown),
    [{ text: `  … and ${lines.length - shown} more ${what}`, tone: 'dim' }],
  ];
}

function clip(line: Line, columns: number): Line {
  const clipped: Cell[] = [];
  let left = columns;
  for (const cell of line) {
    if (left <= 0) break;
    clipped.push(cell.text.length > left ? { ...cell, text: cell.text.slice(0, left) } : cell);
    left -= cell.text.length;
  }
  return clipped;
}
