/**
 * Signs approved requests for certificates of users, and removes requests that have
 * had their time: an hour after they were decided, a day where nobody did.
 */
import { SelvageError, utf8 } from '#base/mod.ts';
import {
  base64Of,
  bytesOfBase64,
  type CertificateSigningRequest,
  type Condition,
  conditionOf,
  resources,
  StatusError,
  userCertificateSigner,
  wallMsOf,
} from '#platform/api/mod.ts';
import { textOf } from '#base/mod.ts';
import { timestampOf } from '#platform/io/mod.ts';
import type { ReconcileResult } from '#platform/reconcile/mod.ts';
import type { ControllerContext } from '../shared/context.ts';

/**
 * PEM of a certificate for the key and the subject of a request. Rejects with a
 * SelvageError that says why it is not given.
 */
export type SignUserCertificate = (
  requestPem: string,
  options: { readonly lifetimeMs: number },
) => Promise<string>;

const decidedAgeMaxMs = 3_600_000;
const pendingAgeMaxMs = 24 * 3_600_000;
const lifetimeDefaultMs = 365 * 24 * 3_600_000;

export function watchForCertificates({ informers, queue }: ControllerContext): void {
  informers.certificateSigningRequests.onChange(({ type, object }) => {
    if (type !== 'deleted') queue.add(object.metadata.name);
  });
}

export function certificateReconciler(
  context: ControllerContext,
  sign: SignUserCertificate | undefined,
): (name: string) => Promise<ReconcileResult | void> {
  return async (name) => {
    const request = context.informers.certificateSigningRequests.get(name);
    if (request === undefined || request.metadata.deletionTimestamp !== undefined) return undefined;
    const leftMs = timeLeftMs(request, context.clock.wallMs());
    if (leftMs <= 0) {
      await unlessGone(() =>
        context.client.delete(resources.certificateSigningRequests, '', name, {
          propagationPolicy: 'Background',
        }),
      );
      return undefined;
    }
    if (sign !== undefined && isToBeSigned(request)) await answer(context, request, sign);
    return { againAfterMs: leftMs };
  };
}

function isToBeSigned({ spec, status }: CertificateSigningRequest): boolean {
  const { conditions, certificate } = status ?? {};
  return (
    spec.signerName === userCertificateSigner &&
    certificate === undefined &&
    conditionOf(conditions, 'Approved') !== undefined &&
    conditionOf(conditions, 'Failed') === undefined
  );
}

function timeLeftMs({ metadata, status }: CertificateSigningRequest, nowMs: number): number {
  const decidedMs = (status?.conditions ?? []).map(
    ({ lastTransitionTime, lastUpdateTime }) =>
      wallMsOf(lastUpdateTime ?? lastTransitionTime ?? '') ?? 0,
  );
  const createdMs = wallMsOf(metadata.creationTimestamp ?? '') ?? 0;
  const endMs =
    decidedMs.length === 0
      ? createdMs + pendingAgeMaxMs
      : Math.max(createdMs, ...decidedMs) + decidedAgeMaxMs;
  return endMs - nowMs;
}

async function answer(
  { client, clock, informers }: ControllerContext,
  request: CertificateSigningRequest,
  sign: SignUserCertificate,
): Promise<void> {
  const { spec, status, metadata } = request;
  const { expirationSeconds } = spec;
  const lifetimeMs = expirationSeconds === undefined ? lifetimeDefaultMs : expirationSeconds * 1000;
  const { conditions = [] } = status ?? {};
  let next: CertificateSigningRequest['status'];
  try {
    const pem = await sign(textOf(bytesOfBase64(spec.request)), { lifetimeMs });
    next = { conditions, certificate: base64Of(utf8(pem)) };
  } catch (error) {
    if (!(error instanceof SelvageError)) throw error;
    const now = timestampOf(clock.wallMs());
    const failed: Condition = {
      type: 'Failed',
      status: 'True',
      reason: 'SignerValidationFailure',
      message: error.message,
      lastTransitionTime: now,
      lastUpdateTime: now,
    };
    next = { conditions: [...conditions, failed] };
  }
  await unlessGone(async () => {
    const { resourceVersion = '' } = metadata;
    const patch = { metadata: { resourceVersion }, status: next };
    informers.certificateSigningRequests.observe(
      await client.mergePatch(
        resources.certificateSigningRequests,
        '',
        metadata.name,
        patch,
        'status',
      ),
    );
  });
}

async function unlessGone(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof StatusError && error.reason === 'NotFound')) throw error;
  }
}
