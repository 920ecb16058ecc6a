import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type JsonObject, utf8 } from '#base/mod.ts';
import { builtInDefinitions, foldObject, type Pod, podStatusWord } from '#platform/api/mod.ts';
import { BlobError, parseImageReference, type ResolvedImage } from '#platform/blobs/mod.ts';
import type { Facet, StoredObject } from '#platform/store/mod.ts';
import { chooseImages, type Resolution } from './image-choice.ts';
import { waitingEvents } from './image-waiting.ts';
import { objectIn } from './json-fields.ts';
import { scheduledVerdict } from './scheduled-verdict.ts';
import { readFacet } from './stored-facets.ts';

const key = { resource: 'pods', namespace: 'default', name: 'p' };
const scriptImage: ResolvedImage = {
  digest: `sha256:${'1'.repeat(64)}`,
  mediaType: 'application/vnd.oci.image.index.v1+json',
  platforms: ['script/javascript'],
  byPlatform: { 'script/javascript': `sha256:${'2'.repeat(64)}` },
};

/** `images`: of its containers; those before `|` are of init containers. */
function podWith(images: string, facets: Partial<Record<Facet, JsonObject>> = {}): StoredObject {
  const [mains = '', inits = ''] = images.split('|').toReversed();
  const containers = (text: string, prefix: string) =>
    text
      .split(' ')
      .filter(Boolean)
      .map((image, index) => ({ name: `${prefix}-${index}`, image }));
  const all: Partial<Record<Facet, JsonObject>> = {
    intent: {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p', namespace: 'default' },
      spec: { initContainers: containers(inits, 'init'), containers: containers(mains, 'main') },
    },
    ...facets,
  };
  const revision = 1 as never;
  const encoded = Object.entries(all).map(([facet, value]) => [
    facet,
    { revision, bytes: utf8(JSON.stringify(value)) },
  ]);
  const stored = Object.fromEntries(encoded);
  return { key, uid: 'u' as never, createdRevision: revision, revision, facets: stored };
}

function withVerdict(pod: StoredObject, verdict: JsonObject): StoredObject {
  const bytes = utf8(JSON.stringify(verdict));
  return { ...pod, facets: { ...pod.facets, verdict: { revision: 2 as never, bytes } } };
}

const definition = builtInDefinitions.find(({ kind }) => kind === 'Pod');
function served(pod: StoredObject): Pod {
  assert.ok(definition !== undefined);
  return foldObject(definition, pod) as Pod;
}
const known: Readonly<Record<string, Resolution>> = { 'app:1': scriptImage };

/** Looks at the pod once, as scheduling does. */
function look(pod: StoredObject, registry = known) {
  const resolved = new Map(Object.entries(registry));
  const chosen = chooseImages({ get: () => undefined }, pod, resolved);
  const outcome =
    chosen.type === 'none'
      ? ({ ...chosen, type: 'wait' } as const)
      : ({ type: 'wait', reason: 'Unschedulable', message: 'no room' } as const);
  const said = scheduledVerdict(pod, outcome, '2026-01-01T00:00:00Z');
  if (said === undefined) return undefined;
  const before = objectIn(readFacet(pod, 'verdict'), 'waiting');
  const events = waitingEvents(before, objectIn(said.verdict, 'waiting'));
  return { ...said, pod: withVerdict(pod, said.verdict), events };
}

test('a pod whose image is nowhere says so as its node would, then backs off, then says nothing new', () => {
  const why =
    'the registry of this fleet has no image nope:1; push it with: selvage image push <folder> nope:1';
  const first = look(podWith('nope:1'));
  assert.ok(first !== undefined);
  assert.deepEqual(served(first.pod).status, {
    phase: 'Pending',
    qosClass: 'BestEffort',
    conditions: [
      {
        type: 'PodScheduled',
        status: 'False',
        reason: 'ImageUnknown',
        message: why,
        lastTransitionTime: '2026-01-01T00:00:00Z',
      },
    ],
    containerStatuses: [
      {
        name: 'main-0',
        state: { waiting: { reason: 'ErrImagePull', message: why } },
        ready: false,
        started: false,
        restartCount: 0,
        image: 'nope:1',
        imageID: '',
      },
    ],
  });
  assert.equal(podStatusWord(served(first.pod)), 'ErrImagePull');
  assert.deepEqual(
    [first.isNews, first.events],
    [
      true,
      [
        {
          severity: 'Warning',
          reason: 'Failed',
          message: `Failed to pull image "nope:1": ${why}`,
        },
      ],
    ],
  );
  const second = look(first.pod);
  assert.ok(second !== undefined);
  assert.deepEqual(served(second.pod).status?.containerStatuses?.[0]?.state?.waiting, {
    reason: 'ImagePullBackOff',
    message: `Back-off pulling image "nope:1": ${why}`,
  });
  assert.equal(podStatusWord(served(second.pod)), 'ImagePullBackOff');
  assert.deepEqual(
    [second.isNews, second.events],
    [
      false,
      [{ severity: 'Normal', reason: 'BackOff', message: 'Back-off pulling image "nope:1"' }],
    ],
  );
  assert.equal(look(second.pod), undefined, 'all is said');
});

test('once the image is there nothing is left of it, whether or not there is room', () => {
  const waiting = look(podWith('nope:1'))?.pod;
  assert.ok(waiting !== undefined);
  const pushed = look(waiting, { 'nope:1': scriptImage });
  assert.equal(pushed?.verdict['waiting'], undefined);
  assert.deepEqual([pushed?.isNews, pushed?.events], [true, []]);
  const assigned = scheduledVerdict(waiting, { type: 'assign' }, '2026-01-01T00:00:01Z');
  assert.deepEqual(assigned?.verdict, {
    conditions: [
      { type: 'PodScheduled', status: 'True', lastTransitionTime: '2026-01-01T00:00:01Z' },
    ],
  });
});

test('what the node says counts for more, and of a pod that has one nothing is said', () => {
  const containerStatuses = [
    {
      name: 'main-0',
      state: { running: {} },
      ready: true,
      restartCount: 0,
      image: '',
      imageID: '',
    },
  ];
  const report = { status: { phase: 'Running', containerStatuses } };
  const first = look(podWith('nope:1', { report }));
  assert.ok(first !== undefined);
  assert.deepEqual(served(first.pod).status?.containerStatuses, containerStatuses);
  const placed = look(podWith('nope:1', { assignment: { nodeName: 'n1', images: {} } }));
  assert.equal(placed?.verdict['waiting'], undefined);
  assert.deepEqual(placed?.events, []);
});

test('each container that cannot have its image says why, and the word for the pod is one of theirs', () => {
  const text = (images: string, registry?: typeof known) => {
    const looked = look(podWith(images), registry);
    assert.ok(looked !== undefined);
    const { initContainerStatuses: inits = [], containerStatuses: mains = [] } =
      served(looked.pod).status ?? {};
    const names = [...inits, ...mains].map(
      ({ name, state }) => `${name} ${state?.waiting?.reason}`,
    );
    return [podStatusWord(served(looked.pod)), ...names, looked.events.length];
  };
  assert.deepEqual(text('app:1 nope:1'), ['ErrImagePull', 'main-1 ErrImagePull', 1]);
  assert.deepEqual(text('nope:1 nope:1'), [
    'ErrImagePull',
    'main-0 ErrImagePull',
    'main-1 ErrImagePull',
    1,
  ]);
  assert.deepEqual(text('app:1 nope:1|app:1'), ['Init:ErrImagePull', 'init-1 ErrImagePull', 1]);
  assert.deepEqual(text('app:1|nope:1'), ['ErrImagePull', 'main-0 ErrImagePull', 1]);
  const invalid = new BlobError('IMAGE_REFERENCE_INVALID', 'repository "App" is not lower-case');
  assert.deepEqual(text('App app:1', { ...known, App: invalid }), [
    'InvalidImageName',
    'main-0 InvalidImageName',
    1,
  ]);
});

test('what is wrong with an image is said with what to do about it', () => {
  const message = (image: string, resolution?: Resolution) => {
    const chosen = chooseImages(
      { get: () => undefined },
      podWith(image),
      new Map([[image, resolution]]),
    );
    assert.equal(chosen.type, 'none');
    return chosen.type === 'none' ? `${chosen.reason}: ${chosen.message}` : '';
  };
  assert.equal(
    message('ghcr.io/team/app:2'),
    'ImageUnknown: image ghcr.io/team/app:2 is of another registry, ghcr.io, and images come from that of this fleet only; push it with: selvage image push <folder> team/app:2, and name it so in the pod',
  );
  const digest = `sha256:${'0'.repeat(64)}`;
  assert.equal(
    message(`app@${digest}`),
    `ImageUnknown: the registry of this fleet has no image app@${digest}; push the one with this digest, or name one that is there`,
  );
  const unreadable = new BlobError('IMAGE_MANIFEST_INVALID', 'its configuration is not JSON');
  assert.equal(
    message('app:1', unreadable),
    'ImageUnreadable: image app:1 cannot be read: its configuration is not JSON; push it again with: selvage image push <folder> app:1',
  );
  let refused: unknown;
  try {
    parseImageReference('App');
  } catch (error) {
    refused = error;
  }
  assert.ok(refused instanceof BlobError);
  assert.match(
    message('App', refused),
    /^InvalidImageName: "App" is no image name: repository "App" is not/,
  );
});
