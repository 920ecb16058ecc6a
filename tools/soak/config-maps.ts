/** The objects of the `api` soak. */
import type { ShownObject } from './watched-view.ts';

export const collection = '/api/v1/namespaces/soak/configmaps';

export interface ConfigMap {
  readonly metadata: { readonly name: string; readonly resourceVersion: string };
  readonly data?: { readonly value?: string };
}

export const shownOf = ({ metadata, data }: ConfigMap): ShownObject => ({
  name: metadata.name,
  revision: Number(metadata.resourceVersion),
  value: data?.value ?? '',
});

/** About 500 bytes as they are stored. */
const filling = 'x'.repeat(256);

export function configMap(name: string, value: string): object {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { value, filling } };
}
