/**
 * An idle fleet in simulated time, for the `idle` benchmark: whole agents and the whole
 * server in this process, so many that real sockets would not do. In a process of its
 * own, because memory is measured.
 *
 * The server's time is that of its events, as the trace tells them apart: its program
 * without TLS and without the kernel. Its memory is what is freed when it ends. Bytes
 * are those that programs wrote; TLS 1.3 adds 22 to each message.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { idleServerOwner, simulateIdle, type IdlePhase } from '#apps/simulator/mod.ts';
import { createNodeTurns } from '#platform/io/node/mod.ts';
import { readInput } from './support/processes.ts';

export interface IdleSimulatedInput {
  readonly nodes: number;
  readonly minutes: number;
}

export interface IdleSimulatedResult {
  readonly idleMs: number;
  readonly bytesPerNodeHour: number;
  readonly messagesPerNodeHour: number;
  /** With what TLS adds to each message. */
  readonly tlsBytesPerNodeHour: number;
  readonly serverCpuMs: number;
  readonly serverHeapBytes: number;
  /** Of nodes, server and the simulated network together. */
  readonly wholeHeapBytes: number;
  readonly realMs: number;
}

const tlsBytesPerMessage = 22;
const msPerHour = 3_600_000;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const input = await readInput<IdleSimulatedInput>();
const startedMs = performance.now();
const heap: Partial<Record<IdlePhase, number>> = {};
let isMeasured = false;
let serverCpuMs = 0;
let sinceMs = 0;
let isServers = false;
const result = await simulateIdle({
  seed: 1,
  ...input,
  drainMicrotasks: () => new Promise((resolve) => setImmediate(resolve)),
  turns: createNodeTurns(),
  // Told as each event begins: what was since the one before belongs to that one.
  traceSink: (line) => {
    if (!isMeasured) return;
    const nowMs = performance.now();
    if (isServers) serverCpuMs += nowMs - sinceMs;
    const ownerAt = line.indexOf(' ') + 1;
    isServers = line.startsWith(`${idleServerOwner} `, ownerAt);
    sinceMs = performance.now();
  },
  onPhase: async (phase) => {
    isMeasured = false;
    isServers = false;
    // Twice: what the first finds unreachable may hold others.
    collect();
    collect();
    heap[phase] = process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
    isMeasured = phase === 'idle begins';
  },
});
const nodeHours = (input.nodes * result.idleMs) / msPerHour;
const answer: IdleSimulatedResult = {
  idleMs: result.idleMs,
  bytesPerNodeHour: result.bytes / nodeHours,
  messagesPerNodeHour: result.messages / nodeHours,
  tlsBytesPerNodeHour: (result.bytes + result.messages * tlsBytesPerMessage) / nodeHours,
  serverCpuMs,
  serverHeapBytes: (heap['idle ends'] ?? 0) - (heap['server gone'] ?? 0),
  wholeHeapBytes: heap['idle ends'] ?? 0,
  realMs: performance.now() - startedMs,
};
process.stdout.write(JSON.stringify(answer));
