/** SelfSubjectRulesReview: what may I do in this namespace? */
import { answeredDefinition } from '../meta/answered.ts';
import { atomicList, flag, record, text } from '../meta/build.ts';
import { authorizationGroup } from './access-fields.ts';

const words = (description: string) => atomicList(description, text('One of them.'));

export const selfSubjectRulesReviewDefinition = answeredDefinition(
  {
    group: authorizationGroup,
    kind: 'SelfSubjectRulesReview',
    plural: 'selfsubjectrulesreviews',
    singular: 'selfsubjectrulesreview',
    namespaced: false,
  },
  'Asks for all that the asker may do in one namespace.',
  {
    spec: record('The question.', {
      namespace: text('The namespace that is asked about.'),
    }),
    status: record('The answer.', {
      resourceRules: atomicList(
        'What may be done with resources.',
        record('Verbs on resources.', {
          verbs: words('What may be done.'),
          apiGroups: words('The API groups.'),
          resources: words('The kinds by their plural names.'),
          resourceNames: words('The only objects, where some are named.'),
        }),
      ),
      nonResourceRules: atomicList(
        'What may be done with paths beside the resources.',
        record('Verbs on paths.', {
          verbs: words('What may be done.'),
          nonResourceURLs: words('The paths.'),
        }),
      ),
      incomplete: flag('True where the asker may do more than rules can say, as a node may.'),
      evaluationError: text('What went wrong while looking.'),
    }),
  },
);
