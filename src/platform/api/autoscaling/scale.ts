/** Scale: the number of replicas of any workload, as its `scale` subresource shows it. */
import { integer, record, text } from '../meta/build.ts';
import { objectSchema } from '../meta/metadata.ts';

export const scaleSchema = objectSchema('How many replicas a workload has and should have.', {
  spec: record('What is wanted.', {
    replicas: integer('How many replicas to keep.', { minimum: 0 }),
  }),
  status: record('What there is.', {
    replicas: integer('How many replicas exist.'),
    selector: text('Selects the pods of the workload.'),
  }),
});
