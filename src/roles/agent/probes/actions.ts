/**
 * What probes and hooks do: ask a container over its ports, or run something in it.
 *
 * Invariants:
 * 1. An action is over when its time is: what it had begun is cut off with it.
 * 2. Only the pod's own address is asked: a probe is the node's word, and must not
 *    reach what the pod could not.
 */
import { errorText } from '#base/mod.ts';
import type { Container, HttpGetAction, LifecycleHandler, Probe } from '#platform/api/mod.ts';
import type { Child, PlainConnection, PlainNet, ProbeNet, Timers } from '#platform/io/mod.ts';
import type { ContainerKey } from '../runtimes/types.ts';

export interface ActionResult {
  readonly isSuccess: boolean;
  /** What went wrong, or what it said; for people. */
  readonly message: string;
}

export interface ActionTarget {
  readonly key: ContainerKey;
  /** Address of the pod. */
  readonly ip: string;
  readonly ports: Container['ports'];
}

export type Action = Pick<Probe, 'httpGet' | 'tcpSocket' | 'exec' | 'grpc'> &
  Pick<LifecycleHandler, 'sleep'>;

export interface ActionDependencies {
  readonly timers: Timers;
  /** Absent where there is no way to a workload's ports: such actions then fail and say so. */
  readonly plainNet?: PlainNet | undefined;
  readonly probeNet?: ProbeNet | undefined;
  readonly exec: (key: ContainerKey, command: readonly string[]) => Promise<Child>;
}

const outputBytesMax = 4 * 1024;
const closeWithinMs = 1_000;
const httpOkMin = 200;
const httpOkMax = 399;

/** Resolves within `timeoutMs`; rejects never. */
export async function performAction(
  dependencies: ActionDependencies,
  action: Action,
  target: ActionTarget,
  timeoutMs: number,
): Promise<ActionResult> {
  try {
    if (action.httpGet !== undefined) {
      return await askHttp(dependencies, action.httpGet, target, timeoutMs);
    }
    if (action.tcpSocket !== undefined) {
      const { plainNet } = dependencies;
      if (plainNet === undefined) return failed('this node cannot open connections to its pods');
      const { host, port } = action.tcpSocket;
      const address = addressOf(host, port, target);
      closeGently(await plainNet.connect({ address, timeoutMs }), dependencies.timers);
      return { isSuccess: true, message: '' };
    }
    if (action.grpc !== undefined) {
      const { probeNet } = dependencies;
      if (probeNet === undefined) return failed('this node cannot ask over gRPC');
      const { port, service = '' } = action.grpc;
      const address = { host: target.ip, port };
      const status = await probeNet.grpcHealth({ address, service, timeoutMs });
      return { isSuccess: status === 'SERVING', message: `service is ${status}` };
    }
    if (action.exec !== undefined) {
      return await runInside(dependencies, action.exec.command ?? [], target, timeoutMs);
    }
    const wantedMs = (action.sleep?.seconds ?? 0) * 1000;
    await new Promise<void>((resolve) => {
      dependencies.timers.after(Math.min(wantedMs, timeoutMs), resolve);
    });
    return { isSuccess: true, message: '' };
  } catch (error) {
    return failed(errorText(error));
  }
}

/** In good order where the workload closes its side too. */
function closeGently(connection: PlainConnection, timers: Timers): void {
  const timer = timers.after(closeWithinMs, () => connection.destroy());
  connection.onClose(() => timer.cancel());
  connection.onData(() => {});
  connection.end();
}

async function askHttp(
  { probeNet }: ActionDependencies,
  action: HttpGetAction,
  target: ActionTarget,
  timeoutMs: number,
): Promise<ActionResult> {
  if (probeNet === undefined) return failed('this node cannot ask over HTTP');
  const headers: Record<string, string> = { 'user-agent': 'kube-probe/selvage', accept: '*/*' };
  for (const { name, value } of action.httpHeaders ?? []) headers[name.toLowerCase()] = value;
  const path = action.path ?? '/';
  const status = await probeNet.httpStatus({
    address: addressOf(action.host, action.port, target),
    scheme: action.scheme === 'HTTPS' ? 'https' : 'http',
    target: path.startsWith('/') ? path : `/${path}`,
    headers,
    timeoutMs,
  });
  const isSuccess = status >= httpOkMin && status <= httpOkMax;
  return { isSuccess, message: `HTTP probe failed with statuscode: ${status}` };
}

/** A port may be named as the container names it. Throws for what leads elsewhere. */
function addressOf(
  host: string | undefined,
  port: number | string,
  { ip, ports }: ActionTarget,
): { host: string; port: number } {
  if (host !== undefined && host !== '' && host !== ip) {
    throw new Error(`the host is ${host}, and a node asks its pods at their own address only`);
  }
  const named = ports?.find(({ name }) => name === port)?.containerPort;
  const number = named ?? Number(port);
  if (Number.isInteger(number) && number > 0 && number <= 65_535) return { host: ip, port: number };
  throw new Error(`the container has no port that is called ${JSON.stringify(port)}`);
}

async function runInside(
  { exec, timers }: ActionDependencies,
  command: readonly string[],
  { key }: ActionTarget,
  timeoutMs: number,
): Promise<ActionResult> {
  const child = await exec(key, command);
  return new Promise((resolve) => {
    let output = '';
    child.onOutput((_, bytes) => {
      const room = Math.max(0, outputBytesMax - output.length);
      output += new TextDecoder().decode(bytes.subarray(0, room));
    });
    const timer = timers.after(timeoutMs, () => {
      child.kill();
      resolve(failed(`command timed out: no end within ${timeoutMs / 1000} s`));
    });
    child.onExit(({ code, signal }) => {
      timer.cancel();
      const how = code === undefined ? `ended by ${signal}` : `exit code ${code}`;
      resolve({ isSuccess: code === 0, message: `${how}: ${output.trim()}` });
    });
    child.endInput();
  });
}

function failed(message: string): ActionResult {
  return { isSuccess: false, message };
}
