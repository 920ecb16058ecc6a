/** SelfSubjectReview: who am I? */
import { answeredDefinition } from '../meta/answered.ts';
import { record } from '../meta/build.ts';
import { authenticationGroup, userInfoSchema } from './user-info.ts';

export const selfSubjectReviewDefinition = answeredDefinition(
  {
    group: authenticationGroup,
    kind: 'SelfSubjectReview',
    plural: 'selfsubjectreviews',
    singular: 'selfsubjectreview',
    namespaced: false,
  },
  'Asks who the server takes the asker for.',
  { status: record('The answer.', { userInfo: userInfoSchema }) },
  [],
);
