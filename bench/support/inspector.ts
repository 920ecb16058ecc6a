/**
 * The heap of another Node.js process after a full garbage collection, by its inspector,
 * which is opened when first asked for: a server that is measured runs no code for it.
 * The process is started with `--inspect-port=PORT`.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { until } from './processes.ts';

export interface HeapUsage {
  /** Of JavaScript, and what it holds outside of its heap: buffers. */
  readonly usedBytes: number;
  readonly rssBytes: number;
}

interface Reply {
  readonly id?: number;
  readonly result?: { readonly result?: { readonly value?: string } };
  readonly error?: { readonly message: string };
}

const collections = 3;
const betweenCollectionsMs = 300;

async function webSocketUrlOf(port: number): Promise<string> {
  let url = '';
  await until('the inspector listens', 10_000, async () => {
    try {
      const answer = await fetch(`http://127.0.0.1:${port}/json/list`);
      const [first] = (await answer.json()) as { webSocketDebuggerUrl: string }[];
      url = first?.webSocketDebuggerUrl ?? '';
    } catch {
      // Not yet.
    }
    return url !== '';
  });
  return url;
}

export async function collectedHeapOf(pid: number, port: number): Promise<HeapUsage> {
  process.kill(pid, 'SIGUSR1');
  const socket = new WebSocket(await webSocketUrlOf(port));
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener('open', () => resolve());
    socket.addEventListener('error', () => reject(new Error('the inspector refuses')));
  });
  let asked = 0;
  const ask = (method: string, params: object = {}): Promise<Reply> => {
    asked += 1;
    const id = asked;
    return new Promise((resolve, reject) => {
      const take = ({ data }: MessageEvent): void => {
        const reply = JSON.parse(String(data)) as Reply;
        if (reply.id !== id) return;
        socket.removeEventListener('message', take);
        if (reply.error === undefined) resolve(reply);
        else reject(new Error(`${method}: ${reply.error.message}`));
      };
      socket.addEventListener('message', take);
      socket.send(JSON.stringify({ id, method, params }));
    });
  };
  try {
    for (let turn = 0; turn < collections; turn += 1) {
      await ask('HeapProfiler.collectGarbage');
      await wait(betweenCollectionsMs);
    }
    const { result } = await ask('Runtime.evaluate', {
      expression: 'JSON.stringify(process.memoryUsage())',
    });
    const usage = JSON.parse(result?.result?.value ?? '') as NodeJS.MemoryUsage;
    return { usedBytes: usage.heapUsed + usage.external, rssBytes: usage.rss };
  } finally {
    socket.close();
  }
}
