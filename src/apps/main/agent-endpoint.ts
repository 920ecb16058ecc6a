/**
 * What an agent tells on a port of its own: /metrics, /healthz, /livez, /readyz.
 * Over TLS with the node's own certificate, to whoever shows a certificate of the
 * fleet's administrators or viewers; to anybody else it says nothing.
 *
 * Invariant: the listener shows a renewed certificate `lookMs` after its renewal at
 * the latest.
 */
import { errorText, utf8 } from '#base/mod.ts';
import type {
  Address,
  ClientTls,
  HttpHandler,
  HttpResponse,
  HttpServer,
  Listener,
  Logger,
  Timer,
  Timers,
} from '#platform/io/mod.ts';
import { type Metrics, prometheusContentType, prometheusText } from '#platform/metrics/mod.ts';
import type { Agent } from '#roles/agent/mod.ts';

const lookMs = 60_000;
const connectionsMax = 64;
const readerGroups = ['system:masters', 'selvage:viewers'];

export interface AgentEndpointOptions {
  readonly address: Address;
  /** The newest certificate of the node, and the fleet's authority. */
  readonly tls: () => ClientTls;
  readonly agent: Pick<Agent, 'state'>;
  readonly metrics: Metrics;
}

export interface AgentEndpoint {
  close(): Promise<void>;
}

/** Rejects where the address cannot be had. */
export async function openAgentEndpoint(
  ports: { readonly httpServer: HttpServer; readonly timers: Timers; readonly logger: Logger },
  options: AgentEndpointOptions,
): Promise<AgentEndpoint> {
  observeAgent(options.metrics, options.agent);
  const handler = agentHandler(options.agent, options.metrics);
  let shown: string | undefined;
  let listener: Listener | undefined;
  let timer: Timer | undefined;
  let isClosed = false;

  async function listen(): Promise<void> {
    const { credentials, trustPem } = options.tls();
    if (credentials === undefined || credentials.certificatePem === shown) return;
    await listener?.close();
    const tls = { credentials, trustPem, clientCertificate: 'require' } as const;
    const { address } = options;
    listener = await ports.httpServer.listen({ address, tls, connectionsMax }, handler);
    shown = credentials.certificatePem;
  }

  function lookAgain(): void {
    timer = ports.timers.after(lookMs, () => {
      listen()
        .catch((error: unknown) => {
          const words = 'metrics are not served for a minute: the port could not be opened again';
          ports.logger.log('error', words, { error: errorText(error) });
        })
        .finally(() => {
          if (!isClosed) lookAgain();
        });
    });
  }

  await listen();
  lookAgain();
  return {
    async close() {
      isClosed = true;
      timer?.cancel();
      await listener?.close();
    },
  };
}

function agentHandler(agent: Pick<Agent, 'state'>, metrics: Metrics): HttpHandler {
  return async ({ method, path, peer }) => {
    const groups = peer?.organizations ?? [];
    if (!readerGroups.some((group) => groups.includes(group))) {
      return answer(403, 'this is for administrators and viewers of the fleet');
    }
    if (method !== 'GET' && method !== 'HEAD') return answer(405, 'only GET is served here');
    switch (path) {
      case '/metrics':
        return answer(200, prometheusText(metrics), prometheusContentType);
      case '/healthz':
      case '/livez':
        return answer(200, 'ok');
      case '/readyz':
        // An agent that is cut off goes on with its work: it is alive, and says that it is alone.
        return agent.state().isLinked
          ? answer(200, 'ok')
          : answer(503, 'there is no link to the hub; the pods go on');
      default:
        return answer(404, 'there are /metrics, /healthz, /livez and /readyz');
    }
  };
}

function answer(status: number, text: string, contentType?: string): HttpResponse {
  const body = utf8(text);
  return {
    status,
    headers: {
      'content-type': contentType ?? 'text/plain; charset=utf-8',
      'content-length': String(body.length),
    },
    body,
  };
}

function observeAgent(metrics: Metrics, agent: Pick<Agent, 'state'>): void {
  metrics.observed(
    'selvage_agent_linked',
    '1 while there is a link to the hub.',
    'gauge',
    [],
    () => [[[], agent.state().isLinked ? 1 : 0]],
  );
  metrics.observed(
    'selvage_agent_hub_silent_seconds',
    'How long the hub has not been heard of.',
    'gauge',
    [],
    () => [[[], agent.state().silentMs / 1000]],
  );
  metrics.observed(
    'selvage_agent_outbox_entries',
    'Reports and events that the hub has not taken yet.',
    'gauge',
    [],
    () => [[[], agent.state().outboxPending]],
  );
  metrics.observed(
    'selvage_agent_service_connections',
    'Connections at the addresses of services that are passed on now.',
    'gauge',
    [],
    () => [[[], agent.state().services?.connections ?? 0]],
  );
  metrics.observed(
    'selvage_agent_service_connections_refused_total',
    'Connections at the addresses of services for which no pod was found.',
    'counter',
    [],
    () => [[[], agent.state().services?.refused ?? 0]],
  );
  metrics.observed(
    'selvage_agent_containers',
    'Containers of the node, by runtime and whether they run.',
    'gauge',
    ['runtime', 'state'],
    () => {
      const counts = new Map<string, number>();
      for (const { runtime, isRunning } of agent.state().containers) {
        const key = `${runtime} ${isRunning ? 'running' : 'ended'}`;
        counts.set(key, (counts.get(key) ?? 0) + 1);
      }
      return Array.from(counts, ([key, count]) => [key.split(' '), count] as const);
    },
  );
  metrics.observed(
    'selvage_agent_container_restarts',
    'Restarts of the containers that are there now.',
    'gauge',
    ['runtime'],
    () => {
      const counts = new Map<string, number>();
      for (const { runtime, restartCount } of agent.state().containers) {
        counts.set(runtime, (counts.get(runtime) ?? 0) + restartCount);
      }
      return Array.from(counts, ([runtime, count]) => [[runtime], count] as const);
    },
  );
}
