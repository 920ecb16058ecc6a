/** The library has no types of its own. */
declare module 'postject' {
  export function inject(
    path: string,
    resource: string,
    content: Uint8Array,
    options: { readonly sentinelFuse: string },
  ): Promise<void>;
}
