/** CertificateSigningRequest: asks for a certificate, which somebody approves and a signer issues. */
import type { FieldError, ResourceDefinition } from '../definition.ts';
import { extraSchema } from '../authentication/user-info.ts';
import { defaultFacetLayout } from '../facets.ts';
import { fieldInvalid, fieldRequired } from '../field-errors.ts';
import { bytesOfBase64 } from '../meta/base64.ts';
import { atomicList, instant, record, text } from '../meta/build.ts';
import { ageColumn, column } from '../meta/columns.ts';
import { type Condition, conditionOf, conditionsSchema } from '../meta/condition.ts';
import { dropIgnoredMetadata, objectSchema } from '../meta/metadata.ts';
import { allVerbs } from '../meta/resources.ts';
import { immutable } from '../meta/rules.ts';
import { durationText } from '../age-text.ts';
import type { ApiObject } from '../object.ts';

export const certificatesGroup = 'certificates.k8s.io';
/** The one signer that issues here: certificates of people and programs for the API. */
export const userCertificateSigner = 'kubernetes.io/kube-apiserver-client';

export interface CertificateSigningRequest extends ApiObject {
  spec: {
    request: string;
    signerName: string;
    expirationSeconds?: number;
    usages?: string[];
    username?: string;
    uid?: string;
    groups?: string[];
    extra?: Record<string, string[]>;
  };
  status?: { conditions?: Condition[]; certificate?: string };
}

const usagesOfUsers = ['client auth', 'digital signature', 'key encipherment'];
const requestLengthMax = 32 * 1024;
const expirationSecondsMin = 600;

export const certificateSigningRequestDefinition: ResourceDefinition = {
  group: certificatesGroup,
  version: 'v1',
  kind: 'CertificateSigningRequest',
  plural: 'certificatesigningrequests',
  singular: 'certificatesigningrequest',
  shortNames: ['csr'],
  categories: [],
  namespaced: false,
  verbs: allVerbs,
  subresources: ['status', 'approval'],
  storage: 'main',
  schema: objectSchema(
    'Asks for a certificate. Somebody who may approves it, then the signer that it names issues it.',
    {
      spec: record(
        'What is asked for, and by whom. Cannot be changed.',
        {
          request: text('The request (PKCS #10) as PEM, in base64.', {
            format: 'byte',
            minLength: 1,
            maxLength: requestLengthMax,
          }),
          signerName: text(
            `Who is to sign. Here ${userCertificateSigner} does, for certificates of people and programs.`,
            { minLength: 1, maxLength: 571 },
          ),
          expirationSeconds: {
            type: 'integer',
            format: 'int32',
            description:
              'How long the certificate is to be good for: a year where this is left out.',
            minimum: expirationSecondsMin,
          },
          usages: atomicList(
            'What the certificate is to be used for: client auth, and with it digital signature and key encipherment.',
            text('One use.'),
            { maxItems: 32 },
          ),
          username: text('Who asked. Set by the server.'),
          uid: text('Tells two of one name apart. Set by the server.'),
          groups: atomicList(
            'The groups that the asker is in. Set by the server.',
            text('One group.'),
          ),
          extra: extraSchema,
        },
        ['request', 'signerName'],
      ),
      status: record('What became of it.', {
        conditions: conditionsSchema('Approved, Denied or Failed, and why.', {
          lastUpdateTime: instant('When it was last written.'),
        }),
        certificate: text('The certificate as PEM, in base64.', { format: 'byte' }),
      }),
    },
    ['spec'],
  ),
  columns: [
    ageColumn,
    column('SignerName', 'string', 'Who is to sign.', (object) => {
      return (object as CertificateSigningRequest).spec.signerName;
    }),
    column('Requestor', 'string', 'Who asked.', (object) => {
      return (object as CertificateSigningRequest).spec.username ?? '';
    }),
    column('RequestedDuration', 'string', 'How long it is to be good for.', (object) => {
      const { expirationSeconds } = (object as CertificateSigningRequest).spec;
      return expirationSeconds === undefined ? '<none>' : durationText(expirationSeconds * 1000);
    }),
    column('Condition', 'string', 'What became of it.', (object) => {
      const { conditions = [], certificate } = (object as CertificateSigningRequest).status ?? {};
      const words = ['Approved', 'Denied', 'Failed'].filter(
        (type) => conditionOf(conditions, type) !== undefined,
      );
      if (words.length === 0) return 'Pending';
      return [...words, ...(certificate === undefined ? [] : ['Issued'])].join(',');
    }),
  ],
  selectableFields: {
    'spec.signerName': (object) => (object as CertificateSigningRequest).spec.signerName,
  },
  facets: defaultFacetLayout(),
  applyDefaults: dropIgnoredMetadata,
  validate(object, { previous }) {
    const request = object as CertificateSigningRequest;
    const before = previous as CertificateSigningRequest | undefined;
    if (before !== undefined) {
      return [...immutable('spec', before.spec, request.spec), ...statusErrors(request)];
    }
    return specErrors(request);
  },
};

function specErrors({ spec }: CertificateSigningRequest): FieldError[] {
  const errors: FieldError[] = [];
  const pem = new TextDecoder().decode(bytesOfBase64(spec.request));
  if (!/^-----BEGIN (NEW )?CERTIFICATE REQUEST-----\r?\n/.test(pem)) {
    const mend = 'must be base64 of PEM that begins with "-----BEGIN CERTIFICATE REQUEST-----"';
    errors.push(fieldInvalid('spec.request', spec.request.slice(0, 20), mend));
  }
  if (!/^[a-z0-9.-]+\/[^/]+$/.test(spec.signerName)) {
    const mend = `must be a domain and a path, such as ${userCertificateSigner}`;
    errors.push(fieldInvalid('spec.signerName', spec.signerName, mend));
  }
  const { usages = [] } = spec;
  if (usages.length === 0) errors.push(fieldRequired('spec.usages', 'such as "client auth"'));
  if (spec.signerName !== userCertificateSigner) return errors;
  for (const [index, usage] of usages.entries()) {
    if (usagesOfUsers.includes(usage)) continue;
    const mend = `this signer takes ${usagesOfUsers.join(', ')}`;
    errors.push(fieldInvalid(`spec.usages[${index}]`, usage, mend));
  }
  if (usages.length > 0 && !usages.includes('client auth')) {
    errors.push(fieldRequired('spec.usages', 'this signer takes requests for "client auth" only'));
  }
  return errors;
}

function statusErrors({ status }: CertificateSigningRequest): FieldError[] {
  const { conditions = [] } = status ?? {};
  const isBoth =
    conditionOf(conditions, 'Approved') !== undefined &&
    conditionOf(conditions, 'Denied') !== undefined;
  if (!isBoth) return [];
  const mend = 'Approved and Denied conditions are mutually exclusive';
  return [fieldInvalid('status.conditions', 'Approved, Denied', mend)];
}
