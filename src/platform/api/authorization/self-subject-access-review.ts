/** SelfSubjectAccessReview: may I do that? */
import { answeredDefinition } from '../meta/answered.ts';
import { record } from '../meta/build.ts';
import { accessStatusSchema, authorizationGroup, selfAccessFields } from './access-fields.ts';

export const selfSubjectAccessReviewDefinition = answeredDefinition(
  {
    group: authorizationGroup,
    kind: 'SelfSubjectAccessReview',
    plural: 'selfsubjectaccessreviews',
    singular: 'selfsubjectaccessreview',
    namespaced: false,
  },
  'Asks whether the asker may do something.',
  { spec: record('The question.', selfAccessFields), status: accessStatusSchema },
);
