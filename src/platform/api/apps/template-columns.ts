/** What `-o wide` shows of a workload: what it runs and which pods are its own. */
import type { Column } from '../definition.ts';
import type { ApiObject } from '../object.ts';
import { wideColumn } from '../meta/columns.ts';
import { type LabelSelector, labelSelectorText } from '../meta/label-selector.ts';
import type { Container } from '../core/pod-types.ts';
import type { PodTemplate } from './pod-template.ts';

export const templateColumns: readonly Column[] = [
  wideColumn('Containers', 'string', 'Names of the containers in the template.', (object) =>
    containersOf(object)
      .map((container) => container.name)
      .join(','),
  ),
  wideColumn('Images', 'string', 'Images of the containers in the template.', (object) =>
    containersOf(object)
      .map((container) => container.image)
      .join(','),
  ),
  wideColumn('Selector', 'string', 'Labels of the pods that belong to it.', (object) =>
    labelSelectorText(workloadOf(object).selector),
  ),
];

function workloadOf(object: ApiObject): { selector: LabelSelector; template: PodTemplate } {
  return object.spec as { selector: LabelSelector; template: PodTemplate };
}

function containersOf(object: ApiObject): readonly Container[] {
  return workloadOf(object).template.spec.containers;
}
