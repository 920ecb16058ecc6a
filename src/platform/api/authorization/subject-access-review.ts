/** SubjectAccessReview: may this user do that? */
import { answeredDefinition } from '../meta/answered.ts';
import { record } from '../meta/build.ts';
import { accessFields, accessStatusSchema, authorizationGroup } from './access-fields.ts';

export const subjectAccessReviewDefinition = answeredDefinition(
  {
    group: authorizationGroup,
    kind: 'SubjectAccessReview',
    plural: 'subjectaccessreviews',
    singular: 'subjectaccessreview',
    namespaced: false,
  },
  'Asks whether somebody may do something.',
  { spec: record('The question.', accessFields), status: accessStatusSchema },
);
