/** The part of the WebAssembly interface that the wasm host uses, its promise integration included. */
declare namespace WebAssembly {
  class Module {
    constructor(bytes: Uint8Array<ArrayBuffer>);
    static imports(module: Module): { module: string; name: string; kind: string }[];
  }
  class Memory {
    readonly buffer: ArrayBuffer;
  }
  class Instance {
    readonly exports: Readonly<Record<string, unknown>>;
    constructor(module: Module, imports: Readonly<Record<string, object>>);
  }
  interface CompileError extends Error {}
  const CompileError: new () => CompileError;
  /** A function that the module waits for. */
  const Suspending: new (run: (...numbers: number[]) => Promise<number>) => object;
  /** An exported function as one whose waiting can be waited for. */
  function promising(run: unknown): () => Promise<void>;
}
