/** What somebody wants to do, and what is answered about it: shared by the access reviews. */
import { atomicList, flag, record, text } from '../meta/build.ts';
import { extraSchema, groupsMax } from '../authentication/user-info.ts';

export const authorizationGroup = 'authorization.k8s.io';

export type ResourceAttributes = {
  namespace?: string;
  verb?: string;
  group?: string;
  version?: string;
  resource?: string;
  subresource?: string;
  name?: string;
};

export type AccessReviewSpec = {
  resourceAttributes?: ResourceAttributes;
  nonResourceAttributes?: { path?: string; verb?: string };
  user?: string;
  groups?: string[];
  uid?: string;
};

export const selfAccessFields = {
  resourceAttributes: {
    ...record('Something that is to be done with a resource.', {
      namespace: text('The namespace; empty for all of them, or for what lives in none.'),
      verb: text('The verb, such as get; * for all.'),
      group: text('The API group; * for all.'),
      version: text('The version of the group. Roles do not tell versions apart.'),
      resource: text('The plural name of the kind; * for all.'),
      subresource: text('The part of the object, if one is meant.'),
      name: text('The name of the object; empty for all of them.'),
    }),
    notYet: ['fieldSelector', 'labelSelector'],
  },
  nonResourceAttributes: record('Something that is to be done with a path beside the resources.', {
    path: text('The path.'),
    verb: text('The verb, such as get.'),
  }),
};

export const accessFields = {
  ...selfAccessFields,
  user: text('Who is asked about.'),
  groups: atomicList('The groups that the user is in.', text('One group.'), {
    maxItems: groupsMax,
  }),
  uid: text('Tells two of one name apart.'),
  extra: extraSchema,
};

export const accessStatusSchema = record('The answer.', {
  allowed: flag('Whether it is allowed.'),
  denied: flag('Never true: nothing is denied but by not being allowed.'),
  reason: text('What allows it.'),
  evaluationError: text('What went wrong while looking.'),
});
