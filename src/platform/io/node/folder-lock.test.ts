import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { SelvageError } from '#base/mod.ts';
import { createNodeTimers, lockFolder } from './mod.ts';

test('a folder is locked until its holder is gone, by kill -9 too, and not by what it started', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'selvage-lock-'));
  const state = join(folder, 'state');
  const timers = createNodeTimers();
  // The holder starts a process that outlives it, as an agent does with its pods.
  const source = `
    import { spawn } from 'node:child_process';
    import { createNodeTimers, lockFolder } from ${JSON.stringify(join(import.meta.dirname, 'mod.ts'))};
    await lockFolder(${JSON.stringify(state)}, 'the server', createNodeTimers());
    const outliving = spawn('sleep', ['60'], { detached: true, stdio: 'ignore' });
    process.stdout.write(String(outliving.pid));
    setInterval(() => {}, 1000);
  `;
  const holder = spawn(process.execPath, ['--input-type=module-typescript', '-e', source], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const outlivingPid = await new Promise<number>((resolve) => {
    holder.stdout.once('data', (said: Buffer) => resolve(Number(said.toString('utf8'))));
  });
  try {
    await assert.rejects(lockFolder(state, 'the server', timers), (thrown) => {
      assert.ok(thrown instanceof SelvageError);
      assert.equal(thrown.code, 'FOLDER_LOCKED');
      assert.ok(thrown.message.includes(`${state} is in use by the server, pid ${holder.pid}`));
      return true;
    });
    const gone = new Promise((resolve) => holder.once('exit', resolve));
    holder.kill('SIGKILL');
    await gone;
    process.kill(outlivingPid, 0);
    const lock = await lockFolder(state, 'the server', timers);
    await assert.rejects(lockFolder(state, 'the server', timers), /in use by the server, pid/);
    lock.release();
    (await lockFolder(state, 'the server', timers)).release();
  } finally {
    holder.kill('SIGKILL');
    process.kill(outlivingPid, 'SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
});
