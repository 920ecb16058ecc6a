/**
 * GET of a container's log, from the node that runs it.
 *
 * Invariants:
 * 1. The answer's head waits for a first byte or a refusal, so that a container
 *    that is not there gives a Status and not an empty 200; a silent one that is
 *    followed gets its head after `logHeadWaitMs`.
 * 2. At most `logUnsentBytesMax` wait for the reader; beyond it the source is
 *    paused, or the answer cut where it cannot be.
 */
import type { Pod, ResourceDefinition } from '#platform/api/mod.ts';
import { StatusError, wallMsOf } from '#platform/api/mod.ts';
import type { HttpResponse } from '#platform/io/mod.ts';
import type { ServerParts } from '../dependencies.ts';
import { concurrentLogStreamsMax, logTailLinesMax } from '../limits.ts';
import { isOutOfReach, servedNode } from '../node-reach.ts';
import type { PodLogRequest } from '../pod-logs.ts';
import { flagOf, numberOf } from '../query.ts';
import { readObject } from '../reading.ts';
import type { RouteHandler } from '../route-table.ts';
import { LogStream } from './log-stream.ts';
import { containerOf } from './pod-container.ts';

export function podLogHandler(parts: ServerParts, definition: ResourceDefinition): RouteHandler {
  const open = new Set<LogStream>();
  return async ({ request, query, parameters }) => {
    const { namespace = '', name = '' } = parameters;
    const pod = readObject(parts, definition, namespace, name).object as Pod;
    const sinceAgeMs = sinceOf(query, parts.clock.wallMs());
    const container = containerOf(pod, query.get('container') ?? '');
    const nodeName = pod.spec.nodeName ?? '';
    if (nodeName === '') throw waiting(pod, container, 'the pod has not been assigned to a node');
    const tailLines = numberOf(query, 'tailLines', 0, logTailLinesMax);
    const limitBytes = numberOf(query, 'limitBytes', 1, Number.MAX_SAFE_INTEGER);
    const logRequest: PodLogRequest = {
      podUid: pod.metadata.uid ?? '',
      container,
      follow: flagOf(query, 'follow'),
      ...(tailLines === undefined ? {} : { tailLines }),
      ...(flagOf(query, 'previous') ? { previous: true } : {}),
      ...(flagOf(query, 'timestamps') ? { timestamps: true } : {}),
      ...(sinceAgeMs === undefined ? {} : { sinceAgeMs }),
    };
    if (open.size >= concurrentLogStreamsMax) {
      throw new StatusError(
        'TooManyRequests',
        `${concurrentLogStreamsMax} logs are being read, which is the most at one time`,
        { retryAfterSeconds: 5 },
      );
    }
    const stream = new LogStream(parts, nodeName, logRequest, limitBytes ?? Infinity);
    open.add(stream);
    const forgetClosing = parts.onClosing(() => stream.close());
    stream.onClosed(() => {
      open.delete(stream);
      forgetClosing();
    });
    request.onAbort(() => stream.close());
    const failure = await stream.opened();
    if (failure !== undefined) {
      stream.close();
      const mayComeBack = !isOutOfReach(servedNode(parts, nodeName));
      throw refusalOf(pod, container, failure, logRequest, mayComeBack);
    }
    const answer: HttpResponse = {
      status: 200,
      headers: { 'content-type': 'text/plain', 'cache-control': 'no-cache, private' },
      body: (sink) => stream.attach(sink),
    };
    return answer;
  };
}

/** How long ago `sinceSeconds` or `sinceTime` is, in milliseconds. Throws BadRequest for both, and with `previous`. */
function sinceOf(query: URLSearchParams, nowMs: number): number | undefined {
  const seconds = numberOf(query, 'sinceSeconds', 1, Number.MAX_SAFE_INTEGER);
  const time = query.get('sinceTime') ?? '';
  if (seconds === undefined && time === '') return undefined;
  if (seconds !== undefined && time !== '') {
    throw new StatusError(
      'BadRequest',
      'at most one of "sinceTime" and "sinceSeconds" may be given',
    );
  }
  if (flagOf(query, 'previous')) {
    throw new StatusError('BadRequest', 'of an earlier run it is not known when it wrote what');
  }
  if (seconds !== undefined) return seconds * 1000;
  const wallMs = wallMsOf(time);
  if (wallMs === undefined) {
    throw new StatusError('BadRequest', `"sinceTime" is no time as RFC 3339 has it: ${time}`);
  }
  return Math.max(0, nowMs - wallMs);
}

function waiting(pod: Pod, container: string, why: string): StatusError {
  return new StatusError(
    'BadRequest',
    `container ${JSON.stringify(container)} in pod ${JSON.stringify(pod.metadata.name)} is waiting to start: ${why}`,
  );
}

function refusalOf(
  pod: Pod,
  container: string,
  failure: { readonly code: string; readonly message: string },
  { previous }: PodLogRequest,
  mayComeBack: boolean,
): StatusError {
  if (failure.code === 'CONTAINER_NOT_FOUND' && previous === true) {
    return new StatusError(
      'BadRequest',
      `previous terminated container ${JSON.stringify(container)} in pod ${JSON.stringify(pod.metadata.name)} not found`,
    );
  }
  if (failure.code === 'POD_NOT_FOUND' || failure.code === 'CONTAINER_NOT_FOUND') {
    const { containerStatuses = [], initContainerStatuses = [] } = pod.status ?? {};
    const statuses = [...containerStatuses, ...initContainerStatuses];
    const status = statuses.find(({ name }) => name === container);
    return waiting(pod, container, status?.state?.waiting?.reason ?? failure.message);
  }
  // Of a node that is lost without a time: clients would ask ten times before they tell anybody.
  return new StatusError(
    'ServiceUnavailable',
    `the log of pod ${pod.metadata.name} cannot be read from node ${pod.spec.nodeName ?? ''} now: ${failure.message}`,
    mayComeBack ? { retryAfterSeconds: 1 } : {},
  );
}
