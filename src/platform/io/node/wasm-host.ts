/**
 * The program that runs a WebAssembly module in a container: one process, one module.
 * It is written into the agent's folder as text and started inside the container's
 * confinement like any script, so all that it needs stands in this one function.
 *
 * The command line: `[--mount PATH]... [--memory BYTES] [--activation MS] MODULE [ARGUMENT]...`
 *
 * A module gets what it imports and nothing more:
 * - `wasi_snapshot_preview1`: arguments, environment, clocks, random numbers, standard
 *   output and error, and the files below the mounts. No sockets.
 * - `selvage_http`: requests in and out, described in docs/reference/webassembly.md. Calls
 *   that wait suspend the module, so the process stays responsive.
 *
 * Limits: memory (of all that the module can grow to), the time from one wait to the
 * next (`activation`), and named maxima on everything that crosses the border.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';

export const wasmHostText = `(${host.toString()})();\n`;

async function host(): Promise<void> {
  const fs = process.getBuiltinModule('node:fs');
  const http = process.getBuiltinModule('node:http');
  const https = process.getBuiltinModule('node:https');
  const { WASI } = process.getBuiltinModule('node:wasi');
  const { Worker } = process.getBuiltinModule('node:worker_threads');
  const v8 = process.getBuiltinModule('node:v8');

  const pageBytes = 65_536;
  const bodyBytesMax = 1024 * 1024;
  const headBytesMax = 64 * 1024;
  const handlesMax = 64;
  const waitingMax = 256;
  const moduleBytesMax = 64 * 1024 * 1024;
  const fetchTimeoutMsMax = 60_000;
  const requestTimeoutMs = 30_000;
  /** What functions of selvage_http answer instead of a handle or a length. */
  const failures = { closing: -1, badHandle: -2, busy: -3, malformed: -4, unreachable: -5 };

  interface Exchange {
    readonly method: string;
    readonly target: string;
    readonly status: number;
    readonly headers: Readonly<Record<string, string | string[] | undefined>>;
    readonly body: Uint8Array;
    /** Only of a request that came in. */
    readonly answer?: (status: number, headers: [string, string][], body: Uint8Array) => void;
  }

  class ModuleExit extends Error {
    readonly exitCode: number;
    constructor(exitCode: number) {
      super(`the module ended with ${exitCode}`);
      this.exitCode = exitCode;
    }
  }

  const words = process.argv.slice(2);
  const mounts: string[] = [];
  let memoryBytes = 256 * 1024 * 1024;
  let activationMs = 30_000;
  while (words[0]?.startsWith('--') === true) {
    const option = words.shift();
    const value = words.shift() ?? '';
    if (option === '--mount') mounts.push(value);
    if (option === '--memory') memoryBytes = Number(value);
    if (option === '--activation') activationMs = Number(value);
  }
  const [modulePath = ''] = words;

  function end(text: string, exitCode: number): never {
    fs.writeSync(2, `wasm: ${text}\n`);
    process.exit(exitCode);
  }

  // The clock of the watchdog: when the module was entered last, 0 while it waits.
  const busySince = new Float64Array(new SharedArrayBuffer(8));
  const enter = (): void => {
    busySince[0] = Date.now();
  };
  const leave = (): void => {
    busySince[0] = 0;
  };
  const watchdog = new Worker(
    `const { workerData } = require('node:worker_threads');
     const { writeSync } = require('node:fs');
     setInterval(() => {
       const since = workerData.busySince[0];
       if (since === 0 || Date.now() - since < workerData.activationMs) return;
       writeSync(2, 'wasm: the module computed for more than ' + workerData.activationMs + ' ms without waiting for anything; it is ended\\n');
       process.kill(process.pid, 'SIGKILL');
     }, Math.min(100, workerData.activationMs));`,
    {
      eval: true,
      workerData: { busySince, activationMs },
      resourceLimits: { maxOldGenerationSizeMb: 8, maxYoungGenerationSizeMb: 2 },
    },
  );
  watchdog.unref();

  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = new Uint8Array(fs.readFileSync(modulePath));
  } catch {
    end(`there is no module ${modulePath} in the image`, 126);
  }
  if (bytes.length > moduleBytesMax) end(`the module is larger than ${moduleBytesMax} bytes`, 126);
  v8.setFlagsFromString(`--wasm-max-mem-pages=${Math.max(1, Math.floor(memoryBytes / pageBytes))}`);

  const wasi = new WASI({
    version: 'preview1',
    args: [modulePath, ...words.slice(1)],
    env: process.env,
    preopens: Object.fromEntries(mounts.map((path) => [path, path])),
  });

  let memory: WebAssembly.Memory | undefined;
  const exchanges = new Map<number, Exchange>();
  let lastHandle = 0;
  const waiting: Exchange[] = [];
  let accepting: ((handle: number) => void) | undefined;
  let isClosing = false;
  let listener: Server | undefined;

  function bytesAt(pointer: number, length: number): Uint8Array {
    if (memory === undefined) throw new RangeError('the module exports no memory');
    // Throws where the module names what it does not have, which ends it like any trap.
    return new Uint8Array(memory.buffer, pointer >>> 0, length >>> 0);
  }
  function textAt(pointer: number, length: number): string {
    return new TextDecoder().decode(bytesAt(pointer, length).slice());
  }
  /** Answers the whole length; copies what fits. */
  function give(value: Uint8Array, pointer: number, capacity: number): number {
    const part = value.subarray(0, capacity >>> 0);
    bytesAt(pointer, part.length).set(part);
    return value.length;
  }
  function giveText(value: string, pointer: number, capacity: number): number {
    return give(new TextEncoder().encode(value), pointer, capacity);
  }
  function keep(exchange: Exchange): number {
    if (exchanges.size >= handlesMax) return failures.busy;
    lastHandle = (lastHandle % 0x3fff_ffff) + 1;
    exchanges.set(lastHandle, exchange);
    return lastHandle;
  }
  function headersIn(text: string): [string, string][] {
    return text.split('\n').flatMap((line): [string, string][] => {
      const colon = line.indexOf(':');
      if (colon <= 0) return [];
      return [[line.slice(0, colon).trim(), line.slice(colon + 1).trim()]];
    });
  }
  function handOver(exchange: Exchange): void {
    if (accepting === undefined) {
      if (waiting.length >= waitingMax) {
        exchange.answer?.(503, [['retry-after', '1']], new Uint8Array(0));
      } else waiting.push(exchange);
      return;
    }
    const handle = keep(exchange);
    if (handle < 0) {
      exchange.answer?.(503, [['retry-after', '1']], new Uint8Array(0));
      return;
    }
    const accept = accepting;
    accepting = undefined;
    accept(handle);
  }

  function serve(request: IncomingMessage, response: ServerResponse): void {
    const parts: Uint8Array[] = [];
    let length = 0;
    request.on('data', (chunk: Uint8Array) => {
      length += chunk.length;
      if (length <= bodyBytesMax) parts.push(chunk);
      else if (!response.headersSent) {
        response.writeHead(413, { connection: 'close' }).end();
        request.destroy();
      }
    });
    request.on('end', () => {
      if (length > bodyBytesMax) return;
      handOver({
        method: request.method ?? 'GET',
        target: request.url ?? '/',
        status: 0,
        headers: request.headers,
        body: Buffer.concat(parts),
        answer(status, headers, body) {
          if (response.headersSent || response.destroyed) return;
          response.writeHead(status, [...headers.flat(), 'content-length', String(body.length)]);
          response.end(body);
        },
      });
    });
  }

  function listen(port: number): Promise<number> {
    if (listener !== undefined) return Promise.resolve(failures.busy);
    const opened = http.createServer({ requestTimeout: requestTimeoutMs }, serve);
    opened.maxHeadersCount = 200;
    listener = opened;
    return new Promise((resolve) => {
      opened.once('error', (error) => {
        fs.writeSync(2, `wasm: cannot listen on port ${port}: ${error.message}\n`);
        listener = undefined;
        resolve(failures.unreachable);
      });
      opened.listen(port, process.env['HOST'], () => resolve(0));
    });
  }

  function accept(timeoutMs: number): Promise<number> {
    const next = waiting.shift();
    if (next !== undefined) return Promise.resolve(keep(next));
    if (isClosing) return Promise.resolve(failures.closing);
    return new Promise((resolve) => {
      const timer =
        timeoutMs < 0
          ? undefined
          : setTimeout(() => {
              accepting = undefined;
              resolve(0);
            }, timeoutMs);
      accepting = (handle) => {
        clearTimeout(timer);
        resolve(handle);
      };
    });
  }

  function fetchOut(
    method: string,
    url: string,
    headers: [string, string][],
    body: Uint8Array,
    timeoutMs: number,
  ): Promise<number> {
    let target: URL;
    try {
      target = new URL(url);
    } catch {
      return Promise.resolve(failures.malformed);
    }
    const client = target.protocol === 'https:' ? https : http;
    if (target.protocol !== 'https:' && target.protocol !== 'http:') {
      return Promise.resolve(failures.malformed);
    }
    const limitMs = Math.min(Math.max(1, timeoutMs), fetchTimeoutMsMax);
    return new Promise((resolve) => {
      const signal = AbortSignal.timeout(limitMs);
      const fail = (): void => resolve(failures.unreachable);
      let request;
      try {
        const options = { method, headers: Object.fromEntries(headers), signal };
        request = client.request(target, options, (response) => {
          const parts: Uint8Array[] = [];
          let length = 0;
          response.on('data', (chunk: Uint8Array) => {
            length += chunk.length;
            if (length <= bodyBytesMax) parts.push(chunk);
            else response.destroy(new Error('the answer is too long'));
          });
          response.on('error', fail);
          response.on('end', () => {
            const { statusCode: status = 0, headers: received } = response;
            const exchange = { method, target: url, status, headers: received };
            resolve(keep({ ...exchange, body: Buffer.concat(parts) }));
          });
        });
      } catch {
        resolve(failures.malformed);
        return;
      }
      request.on('error', fail);
      request.end(body);
    });
  }

  /** A function that the module waits for: meanwhile it does not count as busy. */
  function waits(run: (...numbers: number[]) => Promise<number>): unknown {
    const suspending = async (...numbers: number[]): Promise<number> => {
      leave();
      try {
        return await run(...numbers);
      } finally {
        enter();
      }
    };
    return new WebAssembly.Suspending(suspending);
  }

  const httpImports = {
    listen: waits((port = 0) => listen(port)),
    accept: waits((timeoutMs = -1) => accept(timeoutMs)),
    method: (handle: number, pointer: number, capacity: number) =>
      giveText(exchanges.get(handle)?.method ?? '', pointer, capacity),
    target: (handle: number, pointer: number, capacity: number) =>
      giveText(exchanges.get(handle)?.target ?? '', pointer, capacity),
    status: (handle: number) => exchanges.get(handle)?.status ?? failures.badHandle,
    header(handle: number, name: number, length: number, pointer: number, capacity: number) {
      const value = exchanges.get(handle)?.headers[textAt(name, length).toLowerCase()];
      if (value === undefined) return failures.badHandle;
      return giveText(Array.isArray(value) ? value.join(', ') : value, pointer, capacity);
    },
    body(handle: number, pointer: number, capacity: number) {
      const exchange = exchanges.get(handle);
      return exchange === undefined ? failures.badHandle : give(exchange.body, pointer, capacity);
    },
    respond(
      handle: number,
      status: number,
      headers: number,
      headersLength: number,
      body: number,
      bodyLength: number,
    ) {
      const exchange = exchanges.get(handle);
      if (exchange?.answer === undefined) return failures.badHandle;
      if (headersLength >>> 0 > headBytesMax || status < 200 || status > 599) {
        return failures.malformed;
      }
      exchanges.delete(handle);
      try {
        const given = headersIn(textAt(headers, headersLength));
        exchange.answer(status, given, bytesAt(body, bodyLength).slice());
        return 0;
      } catch (error) {
        if (error instanceof RangeError) throw error;
        // A header that HTTP cannot carry: whoever asked must not wait for ever.
        exchange.answer(500, [], new Uint8Array(0));
        return failures.malformed;
      }
    },
    fetch: waits(async (...numbers) => {
      const [method = 0, methodLength = 0, url = 0, urlLength = 0] = numbers;
      const [headers = 0, headersLength = 0, body = 0, bodyLength = 0] = numbers.slice(4);
      const timeoutMs = numbers[8] ?? fetchTimeoutMsMax;
      const isTooLong =
        urlLength >>> 0 > headBytesMax ||
        headersLength >>> 0 > headBytesMax ||
        bodyLength >>> 0 > bodyBytesMax;
      if (isTooLong) return failures.malformed;
      return await fetchOut(
        textAt(method, methodLength),
        textAt(url, urlLength),
        headersIn(textAt(headers, headersLength)),
        bytesAt(body, bodyLength).slice(),
        timeoutMs,
      );
    }),
    close: (handle: number) => (exchanges.delete(handle) ? 0 : failures.badHandle),
  };

  const wasiImports = {
    ...(wasi.getImportObject() as { wasi_snapshot_preview1: object }).wasi_snapshot_preview1,
    proc_exit(exitCode: number): never {
      throw new ModuleExit(exitCode);
    },
  };

  try {
    const module = new WebAssembly.Module(bytes);
    const offered: Readonly<Record<string, object>> = {
      wasi_snapshot_preview1: wasiImports,
      selvage_http: httpImports,
    };
    const missing = WebAssembly.Module.imports(module)
      .filter(({ module: from, name }) => !Object.hasOwn(offered[from] ?? {}, name))
      .map(({ module: from, name }) => `${from}.${name}`);
    if (missing.length > 0) {
      end(`the module imports what is not offered here: ${missing.slice(0, 8).join(', ')}`, 126);
    }
    const usesHttp = WebAssembly.Module.imports(module).some(
      ({ module: from, name }) => from === 'selvage_http' && name === 'accept',
    );
    if (usesHttp) {
      process.on('SIGTERM', () => {
        isClosing = true;
        listener?.close();
        accepting?.(failures.closing);
        accepting = undefined;
      });
    }
    const instance = new WebAssembly.Instance(module, offered);
    memory = instance.exports['memory'] as WebAssembly.Memory | undefined;
    const start = instance.exports['_start'];
    if (typeof start !== 'function') end('the module exports no function _start', 126);
    wasi.finalizeBindings(instance);
    enter();
    await WebAssembly.promising(start)();
    process.exit(0);
  } catch (thrown) {
    if (thrown instanceof ModuleExit) process.exit(thrown.exitCode);
    const text = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
    end(text, thrown instanceof WebAssembly.CompileError ? 126 : 134);
  }
}
