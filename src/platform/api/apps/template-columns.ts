/** What `-o wide` shows of a workload: what it runs and which pods are its own. */
import type { Column } from '../definition.ts';
import type { ApiObject } from '../object.ts';
import { wideColumn } from '../meta/columns.ts';
import { type LabelSelector, labelSelectorText } from '../meta/label-selector.ts';
import type { Container } from '../core/pod-types.ts';
import type { PodTemplate } from './pod-template.ts';

type Workload = { readonly selector?: LabelSelector; readonly template: PodTemplate };

export const templateColumns: readonly Column[] = templateColumnsOf(
  (object) => object.spec as unknown as Workload,
);

/** For a kind that keeps its template somewhere of its own. */
export function templateColumnsOf(workloadOf: (object: ApiObject) => Workload): readonly Column[] {
  const join = (object: ApiObject, of: (container: Container) => string): string =>
    workloadOf(object).template.spec.containers.map(of).join(',');
  return [
    wideColumn('Containers', 'string', 'Names of the containers in the template.', (object) =>
      join(object, ({ name }) => name),
    ),
    wideColumn('Images', 'string', 'Images of the containers in the template.', (object) =>
      join(object, ({ image }) => image),
    ),
    wideColumn('Selector', 'string', 'Labels of the pods that belong to it.', (object) => {
      const { selector } = workloadOf(object);
      return selector === undefined ? '<none>' : labelSelectorText(selector);
    }),
  ];
}
