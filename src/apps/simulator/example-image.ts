/** The example image, and its way into the fleet's registry: pushed over HTTPS. */
import { utf8 } from '#base/mod.ts';
import { packScriptImage } from '#engines/image-layout/mod.ts';
import { imageName } from './constants.ts';
import type { Operator } from './operator.ts';

/** Safe to repeat: blobs are named by content. */
export async function pushExampleImage(operator: Operator, name = imageName): Promise<void> {
  const packed = packScriptImage({
    files: [{ path: 'server.mjs', bytes: utf8('// runs as a simulated service\n'), mode: 0o644 }],
    entrypoint: ['server.mjs'],
    env: {},
    labels: { 'org.opencontainers.image.title': 'edge-microservice' },
  });
  const { index, manifest } = packed;
  const send = (method: string, target: string, contentType: string, body: Uint8Array) =>
    operator.send(method, `/v2/${name}/${target}`, contentType, body);
  for (const [digest, bytes] of packed.blobs) {
    if (digest === index.digest || digest === manifest.digest) continue;
    await send('POST', `blobs/uploads/?digest=${digest}`, 'application/octet-stream', bytes);
  }
  const manifestBytes = packed.blobs.get(manifest.digest) ?? new Uint8Array(0);
  await send('PUT', `manifests/${manifest.digest}`, manifest.mediaType, manifestBytes);
  await send('PUT', 'manifests/latest', index.mediaType, packed.indexBytes);
}
