/** The template that workloads make pods from, and the defaults and rules for it. */
import { utf8 } from '#base/mod.ts';
import type { FieldError } from '../definition.ts';
import { record } from '../meta/build.ts';
import {
  type LabelSelector,
  selectsLabels,
  validateLabelSelector,
} from '../meta/label-selector.ts';
import { templateMetadataSchema } from '../meta/metadata.ts';
import { validateOnCut } from '../core/on-cut.ts';
import { applyPodSpecDefaults } from '../core/pod-defaults.ts';
import { podSecurityWarnings } from '../core/pod-security.ts';
import { podSpecSchema } from '../core/pod-spec.ts';
import type { PodSpec } from '../core/pod-types.ts';
import { validatePodSpec } from '../core/pod-validation.ts';

export type PodTemplate = {
  metadata?: {
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
  };
  spec: PodSpec;
};

export const podTemplateSchema = record(
  'What each pod will be.',
  { metadata: templateMetadataSchema, spec: podSpecSchema },
  ['spec'],
);

/** In place and idempotent. */
export function applyPodTemplateDefaults(template: PodTemplate): void {
  applyPodSpecDefaults(template.spec);
}

/** What a person should know about pods that are made from it. `field` is its path. */
export function templateWarnings(
  template: PodTemplate,
  field = 'spec.template',
): readonly string[] {
  return podSecurityWarnings(template.spec, `${field}.spec`);
}

/** Rules for `spec.selector` and `spec.template` of a workload that keeps pods running. */
export function validateTemplateAndSelector(
  selector: LabelSelector,
  template: PodTemplate,
): FieldError[] {
  const errors = [
    ...validateLabelSelector(selector, 'spec.selector'),
    ...validateTemplate(selector, template, 'spec.template'),
  ];
  if (template.spec.restartPolicy !== undefined && template.spec.restartPolicy !== 'Always') {
    errors.push({
      field: 'spec.template.spec.restartPolicy',
      reason: 'FieldValueNotSupported',
      message: 'must be Always: this workload keeps its pods running',
    });
  }
  return errors;
}

/** Rules for a template alone; `selector` must match it where there is one. */
export function validateTemplate(
  selector: LabelSelector | undefined,
  template: PodTemplate,
  field: string,
): FieldError[] {
  const errors = [
    ...validatePodSpec(template.spec, `${field}.spec`),
    ...templateSizeErrors(template, field),
    ...validateOnCut(template.metadata?.annotations, `${field}.metadata.annotations`),
  ];
  if (selector !== undefined && !selectsLabels(selector, template.metadata?.labels ?? {})) {
    errors.push({
      field: `${field}.metadata.labels`,
      reason: 'FieldValueInvalid',
      message: '`selector` does not match template `labels`',
    });
  }
  return errors;
}

/** Every pod of it must fit into what a pod may have, with its own metadata. */
const templateBytesMax = 448 * 1024;

function templateSizeErrors(template: PodTemplate, field: string): readonly FieldError[] {
  const sizeBytes = utf8(JSON.stringify(template)).length;
  if (sizeBytes <= templateBytesMax) return [];
  return [
    {
      field,
      reason: 'FieldValueTooLong',
      message: `it has ${sizeBytes} bytes, above the limit of ${templateBytesMax}: keep large values in files of the image`,
    },
  ];
}
