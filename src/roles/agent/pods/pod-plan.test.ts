import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  isOver,
  nextToStop,
  phaseOf,
  planPod,
  type ContainerRole,
  type ObservedContainer,
  type RestartPolicy,
} from './pod-plan.ts';

/** `init:ended:0`, `sidecar:started`, `main:never`: named by role and position. */
function seen(...texts: string[]): ObservedContainer[] {
  return texts.map((text, position) => {
    const [role, state, exitCode] = text.split(':');
    return {
      name: `${role}${position}`,
      role: role as ContainerRole,
      state: state === 'started' ? 'running' : (state as ObservedContainer['state']),
      hasStarted: state === 'started',
      exitCode: exitCode === undefined ? undefined : Number(exitCode),
    };
  });
}

function attended(texts: string[], policy: RestartPolicy = 'Always', was = false): string {
  const { attend, stop, isInitialized } = planPod(seen(...texts), policy, was);
  return `${attend.join(' ')}|${stop.join(' ')}|${isInitialized ? 'initialized' : ''}`;
}

test('init containers run one after the other, and containers after all of them', () => {
  const never = ['init:never', 'init:never', 'main:never', 'main:never'];
  assert.equal(attended(never), 'init0||');
  assert.equal(attended(['init:running', 'init:never', 'main:never']), 'init0||');
  assert.equal(attended(['init:ended:0', 'init:never', 'main:never']), 'init1||');
  assert.equal(attended(['init:ended:3', 'init:never', 'main:never']), 'init0||');
  assert.equal(attended(['init:ended:3', 'init:never', 'main:never'], 'Never'), '||');
  assert.equal(
    attended(['init:ended:0', 'init:ended:0', 'main:never', 'main:running']),
    'main2 main3||initialized',
  );
});

test('a sidecar is waited for until it has started, and later holds nothing up', () => {
  assert.equal(attended(['sidecar:running', 'init:never', 'main:never']), 'sidecar0||');
  assert.equal(attended(['sidecar:started', 'init:never', 'main:never']), 'sidecar0 init1||');
  const again = ['sidecar:ended:1', 'init:ended:0', 'main:running'];
  assert.equal(attended(again), 'sidecar0||');
  assert.equal(attended(again, 'Always', true), 'sidecar0 main2||initialized');
});

test('what was initialized is not initialized again when its traces are lost', () => {
  assert.equal(attended(['init:never', 'main:running'], 'Always', true), 'main1||initialized');
});

test('sidecars are stopped after the work is done, the last one first', () => {
  const done = ['sidecar:started', 'sidecar:started', 'main:ended:0'];
  assert.equal(attended(done, 'OnFailure', true), '|sidecar1|initialized');
  assert.equal(attended(done, 'Always', true), 'sidecar0 sidecar1 main2||initialized');
  assert.deepEqual(nextToStop(seen('sidecar:started', 'main:running', 'main:running')), [
    'main1',
    'main2',
  ]);
  assert.deepEqual(nextToStop(seen('sidecar:started', 'sidecar:ended:0')), ['sidecar0']);
});

test('an init container that fails for good takes the sidecars with it', () => {
  const failed = ['sidecar:started', 'init:ended:1', 'main:never'];
  assert.equal(attended(failed, 'Never'), '|sidecar0|');
  const going = { isEnding: false, hasFailed: false };
  assert.equal(phaseOf(seen(...failed), 'Never', going), 'Pending');
  assert.equal(attended(['sidecar:ended:0', 'init:ended:1', 'main:never'], 'Never'), '||');
  const gone = seen('sidecar:ended:0', 'init:ended:1', 'main:never');
  assert.equal(phaseOf(gone, 'Never', going), 'Failed');
});

test('a phase is final only when nothing runs any more', () => {
  const phase = (texts: string[], policy: RestartPolicy, isEnding = false, hasFailed = false) =>
    phaseOf(seen(...texts), policy, { isEnding, hasFailed });
  assert.equal(phase(['init:running', 'main:never'], 'Always'), 'Pending');
  assert.equal(phase(['main:running', 'main:never'], 'Always'), 'Pending');
  assert.equal(phase(['main:ended:1'], 'Always'), 'Running');
  assert.equal(phase(['main:ended:1', 'main:running'], 'Never'), 'Running');
  assert.equal(phase(['main:ended:1', 'main:ended:0'], 'Never'), 'Failed');
  assert.equal(phase(['main:ended:1', 'main:ended:0'], 'OnFailure'), 'Running');
  assert.equal(phase(['main:ended:0'], 'OnFailure'), 'Succeeded');
  assert.equal(phase(['sidecar:started', 'main:ended:0'], 'OnFailure'), 'Running');
  assert.equal(phase(['sidecar:ended:143', 'main:ended:0'], 'OnFailure'), 'Succeeded');
  assert.equal(phase(['main:running'], 'Always', true, true), 'Running');
  assert.equal(phase(['main:ended:0'], 'Always', true, true), 'Failed');
  assert.equal(phase(['main:ended:0'], 'Always', true), 'Succeeded');
});

test('only what may not start again is over', () => {
  const of = (text: string, policy: RestartPolicy) =>
    seen(text).every((container) => isOver(container, policy));
  assert.equal(of('init:ended:0', 'Always'), true);
  assert.equal(of('init:ended:1', 'Always'), false);
  assert.equal(of('main:ended:0', 'Always'), false);
  assert.equal(of('sidecar:ended:0', 'Never'), false);
  assert.equal(of('main:running', 'Never'), false);
});
