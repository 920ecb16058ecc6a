import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Event, Lease, Node, Pod } from '#platform/api/mod.ts';
import { type FleetPicture, fleetScreen } from './fleet-screen.ts';

const nowMs = Date.parse('2026-01-01T12:00:00Z');

function node(name: string, ready: 'True' | 'Unknown'): Node {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels: { 'selvage.dev/site': 'mill' } },
    spec: {},
    status: {
      conditions: [
        { type: 'Ready', status: ready, reason: ready === 'True' ? 'Heard' : 'NodeLost' },
      ],
    },
  };
}

function pod(name: string, phase: 'Running' | 'Pending'): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', creationTimestamp: '2026-01-01T11:00:00Z' },
    spec: { containers: [{ name: 'main', image: 'x' }], nodeName: 'mill-1' },
    status: { phase },
  };
}

function picture(pods: readonly Pod[]): FleetPicture {
  return {
    title: 'selvage',
    nodes: [node('mill-1', 'True'), node('mill-2', 'Unknown')],
    pods,
    leases: new Map([['mill-1', { spec: { renewTime: '2026-01-01T11:59:58.500000Z' } } as Lease]]),
    events: [
      {
        metadata: { name: 'e' },
        involvedObject: { kind: 'Pod', name: 'web-1' },
        type: 'Warning',
        reason: 'BackOff',
        message: 'it\nends again and again',
        lastTimestamp: '2026-01-01T11:59:00Z',
      } as unknown as Event,
    ],
    silentSinceMs: undefined,
  };
}

function text(shown: FleetPicture, columns = 100, rows = 40): string[] {
  return fleetScreen(shown, nowMs, columns, rows).map((line) =>
    line.map((cell) => cell.text).join(''),
  );
}

test('what wants attention stands first, and links say when they were heard', () => {
  const lines = text(picture([pod('a', 'Running'), pod('b', 'Pending')]));
  const at = (pattern: RegExp): number => lines.findIndex((line) => pattern.test(line));
  assert.ok(at(/mill-2.*NodeLost.*never/) < at(/mill-1.*Ready.*1\.5s ago/));
  assert.ok(at(/default\/b +Pending/) < at(/default\/a +Running/));
  assert.ok(at(/1m *BackOff|60s.*BackOff pod\/web-1: it ends again and again/) > 0);
});

test('it never grows beyond the terminal, and says how many it leaves out', () => {
  const pods = Array.from({ length: 500 }, (_, index) => pod(`pod-${index}`, 'Running'));
  for (const [columns, rows] of [
    [40, 12],
    [80, 24],
    [200, 60],
  ] as const) {
    const lines = text(picture(pods), columns, rows);
    assert.ok(lines.length <= rows, `${lines.length} lines in ${rows}`);
    assert.ok(lines.every((line) => line.length <= columns));
    assert.ok(lines.some((line) => /… and \d+ more pods/.test(line)));
  }
});

test('a silent server is said in the first line', () => {
  const lines = text({ ...picture([]), silentSinceMs: nowMs - 7_000 });
  assert.match(lines[0] ?? '', /has not answered for 7s/);
});
