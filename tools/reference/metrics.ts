/** docs/reference/metrics.md: every metric of a server that was started to be asked. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assembleServer } from '#apps/assembly/mod.ts';
import { silentLogger } from '#platform/io/mod.ts';
import {
  createNodeClock,
  createNodeDisk,
  createNodeHttpServer,
  createNodeKeys,
  createNodeNet,
  createNodeRandom,
  createNodeTimers,
} from '#platform/io/node/mod.ts';
import { createMetrics, type Metrics } from '#platform/metrics/mod.ts';

export async function metricsPage(): Promise<string> {
  const rows = (await metricsOfServer())
    .families()
    .map(
      ({ name, type, labels, help }) =>
        `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(' ')} | ${help} |`,
    );
  return [
    '# Metrics',
    '',
    'The server serves `/metrics` in the text format of Prometheus, on the address of its API,',
    'to administrators and viewers. Besides these there are the usual `process_*` and',
    '`nodejs_*`, and `selvage_build_info` with the version.',
    '',
    '| metric | type | labels | meaning |',
    '| --- | --- | --- | --- |',
    ...rows,
    '',
  ].join('\n');
}

async function metricsOfServer(): Promise<Metrics> {
  const folder = mkdtempSync(join(tmpdir(), 'selvage-reference-'));
  const metrics = createMetrics();
  const anyPort = { host: '127.0.0.1', port: 0 };
  const server = await assembleServer(
    {
      disk: createNodeDisk(folder),
      clock: createNodeClock(),
      timers: createNodeTimers(),
      random: createNodeRandom(),
      keys: createNodeKeys(),
      net: createNodeNet(),
      httpServer: createNodeHttpServer(silentLogger),
      logger: silentLogger,
      metrics,
    },
    {
      apiAddress: anyPort,
      linkAddress: anyPort,
      podNetwork: '127.1',
      heartbeatIntervalMs: 2_000,
      version: { version: '0.0.0', gitCommit: '', buildDate: '', platform: '' },
    },
  );
  await server.close();
  rmSync(folder, { recursive: true, force: true });
  return metrics;
}
