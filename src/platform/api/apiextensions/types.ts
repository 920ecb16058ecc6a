/** CustomResourceDefinition in the form in which it is served. */
import type { Json, JsonObject } from '#base/mod.ts';
import type { ApiObject } from '../object.ts';
import type { Condition } from '../meta/condition.ts';

export type CustomResourceNames = {
  plural: string;
  kind: string;
  singular?: string;
  listKind?: string;
  shortNames?: string[];
  categories?: string[];
};

export type CustomResourceColumn = {
  name: string;
  type: string;
  jsonPath: string;
  format?: string;
  description?: string;
  priority?: number;
};

export type CustomResourceVersion = {
  name: string;
  served: boolean;
  storage: boolean;
  deprecated?: boolean;
  deprecationWarning?: string;
  schema?: { openAPIV3Schema?: JsonObject };
  subresources?: {
    status?: JsonObject;
    scale?: {
      specReplicasPath: string;
      statusReplicasPath: string;
      labelSelectorPath?: string;
    };
  };
  additionalPrinterColumns?: CustomResourceColumn[];
  selectableFields?: { jsonPath: string }[];
};

export interface CustomResourceDefinition extends ApiObject {
  spec: {
    group: string;
    scope: 'Cluster' | 'Namespaced';
    names: CustomResourceNames;
    versions: CustomResourceVersion[];
    conversion?: { strategy: 'None' | 'Webhook'; webhook?: Json };
    preserveUnknownFields?: boolean;
  };
  status?: {
    conditions?: Condition[];
    acceptedNames?: CustomResourceNames;
    storedVersions?: string[];
  };
}

/** Put on a definition when its deletion is asked for; gone when its objects are. */
export const customResourceFinalizer = 'customresourcecleanup.apiextensions.k8s.io';

/** `wheels` of `cars.example` are declared by `wheels.cars.example`. */
export function isConditionTrue(definition: CustomResourceDefinition, type: string): boolean {
  return (
    definition.status?.conditions?.some(
      (condition) => condition.type === type && condition.status === 'True',
    ) ?? false
  );
}
