/** TokenReview: whose token is this? */
import { answeredDefinition } from '../meta/answered.ts';
import { atomicList, flag, record, text } from '../meta/build.ts';
import { authenticationGroup, userInfoSchema } from './user-info.ts';

const audiencesMax = 32;
const audiences = (description: string) =>
  atomicList(description, text('One audience.', { maxLength: 512 }), { maxItems: audiencesMax });

export const tokenReviewDefinition = answeredDefinition(
  {
    group: authenticationGroup,
    kind: 'TokenReview',
    plural: 'tokenreviews',
    singular: 'tokenreview',
    namespaced: false,
  },
  'Asks whose token something is, and whether it is good.',
  {
    spec: record('The question.', {
      token: text('The token.'),
      audiences: audiences(
        'Whom the token must be for, one of them at least; the API itself where empty.',
      ),
    }),
    status: record('The answer.', {
      authenticated: flag('Whether the token is good.'),
      user: userInfoSchema,
      audiences: audiences('Those that were asked for and that the token is for.'),
      error: text('Why it is not.'),
    }),
  },
);
