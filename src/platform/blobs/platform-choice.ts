/** Which entry of an image index a node takes. */
import type { OciDescriptor, OciIndex, OciPlatform } from './oci.ts';

/**
 * The entry for the first of `offered` (`os/architecture`, or with `/variant`; best
 * first) that the index has; among equals the one that comes first in the index.
 */
export function choosePlatform(
  index: OciIndex,
  offered: readonly string[],
): OciDescriptor | undefined {
  for (const wanted of offered) {
    const entry = index.manifests.find(
      ({ platform }) => platform !== undefined && satisfies(platform, wanted),
    );
    if (entry !== undefined) return entry;
  }
  return undefined;
}

function satisfies(platform: OciPlatform, wanted: string): boolean {
  const general = `${platform.os}/${platform.architecture}`;
  return wanted === general || wanted === `${general}/${platform.variant ?? ''}`;
}
