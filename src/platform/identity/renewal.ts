/**
 * A node's certificate, renewed by itself at a random point between a half and two
 * thirds of its life, so that a fleet which joined in one minute does not renew in one.
 *
 * Invariants:
 * 1. What is decided on is the certificate's own end and the wall clock of now, looked
 *    at again and again: no timer counts on the clock not to jump or the machine
 *    not to sleep.
 * 2. A certificate that has ended is renewed like any other. It is never given up.
 * 3. Where the clock here is wrong, the parent's refusals tell: a link that cannot be
 *    opened several times in a row is a reason to renew as well, ever more seldom.
 * 4. A certificate is used only after it is on disk.
 */
import { assert, errorText, SelvageError, utf8 } from '#base/mod.ts';
import type {
  ClientTls,
  Clock,
  Credentials,
  Disk,
  HttpClient,
  Logger,
  Random,
  RequesterKeys,
  Timer,
  Timers,
} from '#platform/io/mod.ts';
import { timestampOf } from '#platform/io/mod.ts';
import { clockSkewMs } from './authority.ts';
import {
  certificateFile,
  keptRequest,
  messageOf,
  type NodeIdentity,
  postJson,
} from './node-identity.ts';

export interface RenewalPorts {
  /** The agent's own state folder. */
  readonly disk: Disk;
  readonly keys: RequesterKeys;
  readonly httpClient: HttpClient;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
}

export interface RenewedIdentity {
  /** With the newest certificate. To be asked at every attempt to connect. */
  tls(): ClientTls;
  close(): void;
}

/** How often the wall clock is compared with the certificate, in parts of its life. */
const looksPerLife = 120;
const lookMinMs = 200;
const lookMaxMs = 600_000;
/** First wait after a failure, in parts of a life; doubles up to the second. */
const backOffPerLife = 60;
const backOffMaxPerLife = 10;
const backOffMinMs = 500;
const backOffMaxMs = 600_000;
/** Attempts to connect, one soon after the other, that look like a refusal. */
const asksInRowMax = 3;
const asksApartMs = 60_000;
const suspicionMinMs = 5_000;
const suspicionMaxMs = 900_000;

class Renewal implements RenewedIdentity {
  readonly #ports: RenewalPorts;
  readonly #identity: NodeIdentity;
  #credentials: Credentials;
  #lifeMs = 0;
  #notAfterMs = 0;
  #renewAtWallMs = 0;
  /** No attempt before this, on the monotonic clock. */
  #notBeforeMs = 0;
  #failuresInRow = 0;
  #asksInRow = 0;
  #lastAskMs = Number.NEGATIVE_INFINITY;
  #suspicionsInRow = 0;
  #suspectNotBeforeMs = 0;
  #isRenewing = false;
  #isClosed = false;
  #timer: Timer | undefined;

  constructor(ports: RenewalPorts, identity: NodeIdentity) {
    const { credentials } = identity.tls;
    assert(credentials !== undefined, 'a node that has joined has credentials');
    this.#ports = ports;
    this.#identity = identity;
    this.#credentials = credentials;
    this.#adopt(credentials);
    this.#look();
  }

  tls(): ClientTls {
    const nowMs = this.#ports.clock.monotonicMs();
    const isInRow = nowMs - this.#lastAskMs < asksApartMs;
    this.#asksInRow = isInRow ? this.#asksInRow + 1 : 1;
    if (!isInRow) this.#suspicionsInRow = 0;
    this.#lastAskMs = nowMs;
    this.#consider();
    return { ...this.#identity.tls, credentials: this.#credentials };
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  #adopt(credentials: Credentials): void {
    const { keys, random } = this.#ports;
    const facts = keys.readCertificate(credentials.certificatePem);
    this.#credentials = credentials;
    this.#notAfterMs = facts.notAfterMs;
    this.#lifeMs = Math.max(1_000, facts.notAfterMs - facts.notBeforeMs - clockSkewMs);
    // Between a half and a third of the life is left then.
    this.#renewAtWallMs = facts.notAfterMs - this.#lifeMs * (1 / 3 + random.unit() / 6);
  }

  #look(): void {
    if (this.#isClosed) return;
    this.#consider();
    const everyMs = Math.min(lookMaxMs, Math.max(lookMinMs, this.#lifeMs / looksPerLife));
    this.#timer = this.#ports.timers.after(everyMs, () => this.#look());
  }

  #consider(): void {
    const { clock } = this.#ports;
    const nowMs = clock.monotonicMs();
    if (this.#isClosed || this.#isRenewing || nowMs < this.#notBeforeMs) return;
    if (clock.wallMs() < this.#renewAtWallMs) {
      if (this.#asksInRow < asksInRowMax || nowMs < this.#suspectNotBeforeMs) return;
      const pauseMs = suspicionMinMs * 2 ** Math.min(this.#suspicionsInRow, 20);
      this.#suspicionsInRow += 1;
      this.#suspectNotBeforeMs = nowMs + Math.min(suspicionMaxMs, pauseMs);
    }
    this.#isRenewing = true;
    void this.#attempt().finally(() => {
      this.#isRenewing = false;
    });
  }

  async #attempt(): Promise<void> {
    const { clock, logger, random } = this.#ports;
    try {
      const credentials = await this.#fetch();
      if (this.#isClosed) return;
      this.#adopt(credentials);
      this.#failuresInRow = 0;
      this.#asksInRow = 0;
      logger.log('info', 'certificate renewed', { notAfter: timestampOf(this.#notAfterMs) });
    } catch (thrown) {
      if (this.#isClosed) return;
      const isRefused = thrown instanceof SelvageError && thrown.code === 'IDENTITY_REFUSED';
      const firstMs = Math.max(backOffMinMs, this.#lifeMs / backOffPerLife);
      const lastMs = Math.max(firstMs, Math.min(backOffMaxMs, this.#lifeMs / backOffMaxPerLife));
      const boundMs = isRefused
        ? lastMs
        : Math.min(lastMs, firstMs * 2 ** Math.min(this.#failuresInRow, 30));
      this.#failuresInRow += 1;
      this.#notBeforeMs = clock.monotonicMs() + boundMs * (0.5 + random.unit() / 2);
      logger.log(isRefused ? 'error' : 'warn', 'the certificate could not be renewed', {
        reason: errorText(thrown),
        notAfter: timestampOf(this.#notAfterMs),
        failuresInRow: this.#failuresInRow,
      });
    }
  }

  async #fetch(): Promise<Credentials> {
    const { disk, keys, httpClient } = this.#ports;
    const { nodeName, apiAddress, tls } = this.#identity;
    const certificateRequestPem = await keptRequest(disk, keys, nodeName);
    const { status, text } = await postJson(
      httpClient,
      { address: apiAddress, trustPem: tls.trustPem },
      '/apis/selvage.dev/v1/noderenewals',
      { nodeName, certificateRequestPem },
    );
    if (status !== 201) {
      const words = messageOf(text) ?? `status ${status}`;
      // Only these are about this node; the rest may be better next time.
      const code = status === 401 || status === 422 ? 'IDENTITY_REFUSED' : 'IDENTITY_NOT_RENEWED';
      throw new SelvageError(code, `the server did not renew the certificate: ${words}`);
    }
    const { certificatePem } = JSON.parse(text) as { certificatePem: string };
    const before = keys.readCertificate(this.#credentials.certificatePem);
    const facts = keys.readCertificate(certificatePem);
    if (
      facts.publicKeyPem !== before.publicKeyPem ||
      facts.subject.commonName !== before.subject.commonName
    ) {
      throw new SelvageError(
        'IDENTITY_NOT_RENEWED',
        'the server answered with a certificate of another key or name',
      );
    }
    await disk.writeFileAtomic(certificateFile, utf8(certificatePem), 0o600);
    return { ...this.#credentials, certificatePem };
  }
}

/** Begins at once; runs until `close`. */
export function keepRenewed(ports: RenewalPorts, identity: NodeIdentity): RenewedIdentity {
  return new Renewal(ports, identity);
}
