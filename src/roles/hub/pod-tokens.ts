/**
 * Tokens of ServiceAccounts for the pods of a node, asked for by its agent.
 *
 * Invariant: a node gets tokens for pods that are assigned to it, of the account that
 * the pod says, and bound to that pod; for nothing else.
 */
import { errorText, isJsonObject, utf8 } from '#base/mod.ts';
import type { Logger } from '#platform/io/mod.ts';
import type { Store } from '#platform/store/mod.ts';
import type { LinkStream } from '#platform/wire/mod.ts';
import { nodeNameOf, readFacet } from './stored-facets.ts';
import type { PodTokenSource } from './types.ts';

const audienceLengthMax = 512;
const accountDefault = 'default';

export class PodTokens {
  readonly #store: Store;
  readonly #logger: Logger;
  readonly #source: PodTokenSource | undefined;

  constructor(store: Store, logger: Logger, source: PodTokenSource | undefined) {
    this.#store = store;
    this.#logger = logger;
    this.#source = source;
  }

  /** Answers one `pod.token` of the node: JSON of the token, its end and the port of the API. */
  serve(
    nodeName: string,
    { namespace, name, uid, audience = '', expirationSeconds }: Readonly<Record<string, unknown>>,
    stream: LinkStream,
  ): void {
    stream.onMessage(() => undefined);
    stream.onClose(() => undefined);
    const isOrder =
      typeof namespace === 'string' &&
      typeof name === 'string' &&
      typeof uid === 'string' &&
      typeof audience === 'string' &&
      audience.length <= audienceLengthMax &&
      typeof expirationSeconds === 'number' &&
      expirationSeconds > 0;
    if (!isOrder) {
      stream.fail({
        code: 'TOKEN_MALFORMED',
        message: 'pod.token takes a pod, an audience and a life',
      });
      return;
    }
    const pod = this.#store.get({ resource: 'pods', namespace, name });
    if (pod === undefined || pod.uid !== uid || nodeNameOf(pod) !== nodeName) {
      stream.fail({ code: 'TOKEN_REFUSED', message: 'that pod is not assigned to this node' });
      return;
    }
    const spec = readFacet(pod, 'intent')?.['spec'];
    const named = isJsonObject(spec) ? spec['serviceAccountName'] : undefined;
    const accountName = typeof named === 'string' && named !== '' ? named : accountDefault;
    const account = this.#store.get({ resource: 'serviceaccounts', namespace, name: accountName });
    if (this.#source === undefined || account === undefined) {
      const message = `there is no ServiceAccount ${accountName} in ${namespace}`;
      stream.fail({ code: 'TOKEN_NO_ACCOUNT', message });
      return;
    }
    this.#source
      .issue({
        namespace,
        accountName,
        accountUid: account.uid,
        podName: name,
        podUid: uid,
        nodeName,
        audience,
        lifeSeconds: expirationSeconds,
      })
      .then(async (issued) => {
        await stream.send(utf8(JSON.stringify(issued)));
        stream.end();
      })
      .catch((error: unknown) => {
        this.#logger.log('warn', 'a token for a pod could not be issued', {
          node: nodeName,
          podUid: uid,
          error: errorText(error),
        });
        stream.fail({ code: 'TOKEN_FAILED', message: 'the hub could not issue the token' });
      });
  }
}
