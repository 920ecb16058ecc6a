/** TokenRequest: asks for a token of a ServiceAccount. Posted to its `token` subresource, never stored. */
import { atomicList, instant, record, text } from '../meta/build.ts';
import { objectSchema } from '../meta/metadata.ts';
import { authenticationGroup } from './user-info.ts';

export const tokenLifeSecondsMin = 600;
export const tokenLifeSecondsDefault = 3_600;
/** The largest number that is taken; what is given may be less. */
const lifeSecondsAskedMax = 2 ** 32;
const audiencesMax = 32;

export const tokenRequestKind = { group: authenticationGroup, kind: 'TokenRequest' };

export type TokenRequestSpec = {
  audiences?: string[];
  expirationSeconds?: number;
  boundObjectRef?: { kind?: string; apiVersion?: string; name?: string; uid?: string };
};

export const tokenRequestSchema = objectSchema('Asks for a token of a ServiceAccount.', {
  spec: record('What kind of token.', {
    audiences: atomicList(
      'Whom the token is for; the API itself where this is empty.',
      text('One audience.', { minLength: 1, maxLength: 512 }),
      { maxItems: audiencesMax },
    ),
    expirationSeconds: {
      type: 'integer',
      format: 'int64',
      description:
        'How long it is to be good for: an hour where this is left out, ten minutes at least. The server may give it for less.',
      minimum: tokenLifeSecondsMin,
      maximum: lifeSecondsAskedMax,
    },
    boundObjectRef: record('The object with which the token ends.', {
      kind: text('Pod or Secret.'),
      apiVersion: text('v1.'),
      name: text('Its name, in the namespace of the ServiceAccount.'),
      uid: text('Its identity; the present one where this is left out.'),
    }),
  }),
  status: record('The token.', {
    token: text('The token.'),
    expirationTimestamp: instant('Until when it is good.'),
  }),
});
