/**
 * What the API front counts about requests. Labels are of the route table, never
 * of the request: nobody can make up new ones.
 */
import type { Counter, Metrics } from '#platform/metrics/mod.ts';
import type { RouteRow } from './route-table.ts';

/** Seconds; single-object calls are expected below the fourth. */
const durationBounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];

/** Called once a request: the row that it matched, if any, and how it was answered. */
export type RequestObserver = (
  row: RouteRow | undefined,
  status: number,
  durationMs: number,
) => void;

export function observeRequests(metrics: Metrics): RequestObserver {
  const requests = metrics.counter(
    'selvage_api_requests_total',
    'Requests of the API, by what they asked for and how they were answered.',
    ['verb', 'resource', 'subresource', 'code'],
  );
  const durations = metrics.histogram(
    'selvage_api_request_duration_seconds',
    'Time from the request until its answer began.',
    durationBounds,
    ['verb', 'resource', 'subresource'],
  );
  const labelsOf = (row: RouteRow | undefined): [string, string, string] => {
    if (row === undefined) return ['none', 'none', ''];
    const { subject } = row;
    return subject.type === 'path'
      ? [subject.verb, subject.area, '']
      : [subject.verb, subject.resource, subject.subresource ?? ''];
  };
  // One look-up by row and one by code, whatever number of labels there is.
  const known = new Map<
    RouteRow | undefined,
    { readonly codes: Map<number, Counter>; readonly observe: (seconds: number) => void }
  >();
  return (row, status, durationMs) => {
    let series = known.get(row);
    if (series === undefined) {
      const histogram = durations(...labelsOf(row));
      series = { codes: new Map(), observe: (seconds) => histogram.observe(seconds) };
      known.set(row, series);
    }
    let counter = series.codes.get(status);
    if (counter === undefined) {
      counter = requests(...labelsOf(row), String(status));
      series.codes.set(status, counter);
    }
    counter.add();
    series.observe(durationMs / 1000);
  };
}
