/** Types that are one primitive at run time and cannot be mixed up at compile time. */

declare const brand: unique symbol;

export type Brand<Value, Name extends string> = Value & { readonly [brand]: Name };

/** Position of a transaction in one store's log; the `resourceVersion` of what it wrote. */
export type Revision = Brand<number, 'Revision'>;
/** Identity of one object over its whole life; never reused. */
export type Uid = Brand<string, 'Uid'>;
/** `metadata.name` of a Node. */
export type NodeName = Brand<string, 'NodeName'>;
