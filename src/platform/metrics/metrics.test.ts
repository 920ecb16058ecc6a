import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMetrics, prometheusText } from './mod.ts';

test('what is counted is printed as Prometheus reads it, sorted by name', () => {
  const metrics = createMetrics();
  const requests = metrics.counter('selvage_b_total', 'How many.', ['verb', 'path']);
  requests('get', 'a"b\\c\n').add();
  requests('get', 'a"b\\c\n').add(2);
  metrics.gauge('selvage_a', 'How much.')().set(-1.5);
  assert.equal(
    prometheusText(metrics),
    [
      '# HELP selvage_a How much.',
      '# TYPE selvage_a gauge',
      'selvage_a -1.5',
      '# HELP selvage_b_total How many.',
      '# TYPE selvage_b_total counter',
      'selvage_b_total{verb="get",path="a\\"b\\\\c\\n"} 3',
      '',
    ].join('\n'),
  );
});

test('a histogram counts everything up to each bound, and the bound itself', () => {
  const metrics = createMetrics();
  const seconds = metrics.histogram('selvage_s', 'Time.', [0.1, 1], ['of'])('x');
  for (const value of [0.05, 0.1, 0.5, 30]) seconds.observe(value);
  const lines = prometheusText(metrics).split('\n').slice(2, -1);
  assert.deepEqual(lines, [
    'selvage_s_bucket{of="x",le="0.1"} 2',
    'selvage_s_bucket{of="x",le="1"} 3',
    'selvage_s_bucket{of="x",le="+Inf"} 4',
    'selvage_s_sum{of="x"} 30.65',
    'selvage_s_count{of="x"} 4',
  ]);
});

test('values that somebody invents end up under one name', () => {
  const metrics = createMetrics();
  const counter = metrics.counter('selvage_c_total', 'How many.', ['value']);
  for (let index = 0; index < 5_000; index += 1) counter(`value-${index}`).add();
  const samples = metrics.families()[0]?.samples ?? [];
  assert.equal(samples.length, 2_001);
  assert.equal(samples.find(({ labels }) => labels[0]?.[1] === 'other')?.value, 3_000);
});

test('the same name is the same metric, and never two things', () => {
  const metrics = createMetrics();
  metrics.counter('selvage_d_total', 'How many.')().add();
  metrics.counter('selvage_d_total', 'How many.')().add();
  assert.match(prometheusText(metrics), /selvage_d_total 2\n/);
  assert.throws(() => metrics.gauge('selvage_d_total', 'How many.'));
});

test('what is read is read anew each time', () => {
  const metrics = createMetrics();
  let depth = 1;
  metrics.observed('selvage_depth', 'Depth.', 'gauge', ['queue'], () => [[['a'], depth]]);
  assert.match(prometheusText(metrics), /selvage_depth\{queue="a"\} 1\n/);
  depth = 7;
  assert.match(prometheusText(metrics), /selvage_depth\{queue="a"\} 7\n/);
});
