/** What is known of somebody who asks. */
import { atomicList, mapOf, record, text } from '../meta/build.ts';

export const authenticationGroup = 'authentication.k8s.io';

export const groupsMax = 256;

export const extraSchema = mapOf(
  'What else is known, by whoever found out who it is.',
  atomicList('Values of one key.', text('One value.')),
);

export const userInfoSchema = record('Who somebody is.', {
  username: text('The name by which roles are given.'),
  uid: text('Tells two of one name apart.'),
  groups: atomicList('The groups that the user is in.', text('One group.')),
  extra: extraSchema,
});
