/** LocalSubjectAccessReview: may this user do that in this namespace? */
import { answeredDefinition } from '../meta/answered.ts';
import { record } from '../meta/build.ts';
import { accessFields, accessStatusSchema, authorizationGroup } from './access-fields.ts';

export const localSubjectAccessReviewDefinition = answeredDefinition(
  {
    group: authorizationGroup,
    kind: 'LocalSubjectAccessReview',
    plural: 'localsubjectaccessreviews',
    singular: 'localsubjectaccessreview',
    namespaced: true,
  },
  'Asks whether somebody may do something in one namespace.',
  { spec: record('The question.', accessFields), status: accessStatusSchema },
);
