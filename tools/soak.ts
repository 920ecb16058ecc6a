/**
 * What takes too long for the test line: `npm run test:soak` runs all parts,
 * `npm run test:soak -- disk` one of them.
 */
import { checkDamage } from '../test/e2e/helpers/damaged-log.ts';
import { sweep, watchCalls } from '../test/e2e/helpers/disk-sweep.ts';

const apiPort = 25_443;
const lanes = 2;
const callsMax = 500;
/** A call may come less often in one run than in the one that was watched. */
const unreachedMax = 25;

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Kills a server at each of its first 500 calls to the disk; damages every byte of a log. */
async function soakDisk(): Promise<boolean> {
  const { tried, refused } = await checkDamage(1);
  print(`damage: ${tried} bytes of a log damaged in turn, ${refused} refused, the rest a cut tail`);
  const points = await watchCalls(apiPort, callsMax);
  const calls = new Map<string, number>();
  for (const { call } of points) calls.set(call, (calls.get(call) ?? 0) + 1);
  print(`kills: ${[...calls].map(([call, count]) => `${count} ${call}`).join(', ')}`);
  let done = 0;
  const results = await sweep(points, apiPort, lanes, ({ point, differences }) => {
    done += 1;
    if (done % 50 === 0) print(`kills: ${done} of ${points.length}`);
    for (const difference of differences) {
      print(
        `kills: FAILED at ${point.call} ${point.count} (call ${point.position}): ${difference}`,
      );
    }
  });
  const sum = (count: (result: (typeof results)[number]) => number): number =>
    results.reduce((total, result) => total + count(result), 0);
  const unreached = sum(({ wasReached }) => (wasReached ? 0 : 1));
  print(
    `kills: ${results.length} points, ${unreached} not reached, ` +
      `${sum(({ wasReady }) => (wasReady ? 0 : 1))} before the server was ready, ` +
      `${sum(({ acknowledged }) => acknowledged)} writes acknowledged before the kills, ` +
      `${sum(({ differences }) => differences.length)} of them lost or otherwise wrong`,
  );
  return unreached <= unreachedMax && results.every(({ differences }) => differences.length === 0);
}

const parts: Readonly<Record<string, () => Promise<boolean>>> = { disk: soakDisk };

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => parts[name] === undefined);
if (unknown.length > 0) {
  process.stderr.write(`no part ${unknown.join(' ')}; there is ${Object.keys(parts).join(', ')}\n`);
  process.exit(2);
}
let isPassed = true;
for (const [name, part] of Object.entries(parts)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  print(`# soak: ${name}`);
  const startMs = Date.now();
  const isPartPassed = await part();
  print(
    `# soak: ${name} ${isPartPassed ? 'passed' : 'FAILED'} in ${Math.round((Date.now() - startMs) / 1000)} s`,
  );
  isPassed &&= isPartPassed;
}
process.exitCode = isPassed ? 0 : 1;
