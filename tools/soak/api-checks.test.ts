// What the `api` soak checks with tells good runs from bad ones.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WatchedView } from './watched-view.ts';
import { WriteLedger } from './write-ledger.ts';

const object = (name: string, revision: number, value = `v${revision}`) => ({
  name,
  revision,
  value,
});
const event = (type: string, name: string, revision: number) => ({
  type,
  ...object(name, revision),
});

/** Listed at 10 with one object, then shown three changes and a bookmark. */
function goodView(): WatchedView {
  const view = new WatchedView();
  view.list(10, [object('a', 4)]);
  view.event(event('MODIFIED', 'a', 11));
  view.event(event('ADDED', 'b', 13));
  view.bookmark(14);
  view.event(event('DELETED', 'a', 15));
  return view;
}

test('a view that followed in order and holds what is listed has no differences', () => {
  assert.deepEqual(goodView().differences([11, 13], [object('b', 13)]), []);
  const relisted = goodView();
  relisted.list(20, [object('b', 18)]);
  assert.deepEqual(relisted.differences([11, 13, 18], [object('b', 18)]), []);
});

test('a view says what was shown twice, out of order, not at all, or is held wrongly', () => {
  const faultsOf = (spoil: (view: WatchedView) => void): readonly string[] => {
    const view = goodView();
    spoil(view);
    return view.faults;
  };
  assert.deepEqual(
    faultsOf((view) => view.event(event('MODIFIED', 'b', 15))),
    ['MODIFIED of b at 15 came after 15'],
  );
  assert.deepEqual(
    faultsOf((view) => view.bookmark(12)),
    ['a bookmark of 12 came after 15'],
  );
  assert.deepEqual(
    faultsOf((view) => view.list(12, [])),
    ['a list of 12 came after 15'],
  );
  assert.deepEqual(
    faultsOf((view) => view.event(event('ADDED', 'b', 16))),
    ['b was added at 16 and was there'],
  );
  assert.deepEqual(
    faultsOf((view) => view.event(event('DELETED', 'a', 16))),
    ['a was not there when DELETED at 16'],
  );
  assert.deepEqual(goodView().differences([11, 12, 13], [object('b', 13)]), [
    '1 acknowledged writes were not shown: 12',
  ]);
  const others = [object('b', 12), object('c', 14)];
  assert.deepEqual(goodView().differences([], others), [
    '2 objects are not as the list has them: b, c',
  ]);
  assert.deepEqual(goodView().differences([], []), ['1 objects are not as the list has them: b']);
});

test('a ledger takes either state of a write without an answer, and no other', () => {
  const ledger = new WriteLedger();
  ledger.written('a', '1', 5);
  ledger.unanswered('a', '2');
  ledger.written('b', '1', 6);
  ledger.unanswered('b', undefined);
  ledger.unanswered('c', '1');
  assert.deepEqual(ledger.differences([object('a', 5, '1'), object('b', 6, '1')]), []);
  assert.deepEqual(ledger.differences([object('a', 7, '2'), object('c', 9, '1')]), []);
  assert.deepEqual(ledger.differences([object('a', 8, '3'), object('d', 9, '1')]), [
    'a is 3, and was written as 1 or 2',
    'd is there, and nobody wrote it',
  ]);
  assert.deepEqual(ledger.differences([object('a', 4, '1')]), ['a is of 4, and was written at 5']);
  ledger.notFound('b');
  assert.deepEqual(ledger.faults, []);
  ledger.notFound('a');
  assert.deepEqual(ledger.faults, ['a was acknowledged and is not found']);
  ledger.written('d', '1', 20);
  ledger.written('d', '2', 19);
  assert.match(ledger.faults[1] ?? '', /d was written at 19, before that at 20/);
});
