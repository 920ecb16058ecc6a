/** An expression as a tree. `at` is an offset in the text, for messages. */

export type Literal = null | boolean | bigint | number | string | Uint8Array;

export type Expression =
  | { readonly op: 'literal'; readonly value: Literal; readonly at: number }
  | { readonly op: 'name'; readonly name: string; readonly at: number }
  | {
      readonly op: 'select';
      readonly of: Expression;
      readonly field: string;
      /** `a.?b`: no error where it is absent, an optional value instead. */
      readonly isOptional: boolean;
      readonly at: number;
    }
  | {
      readonly op: 'index';
      readonly of: Expression;
      readonly index: Expression;
      readonly isOptional: boolean;
      readonly at: number;
    }
  | { readonly op: 'has'; readonly of: Expression; readonly field: string; readonly at: number }
  | {
      readonly op: 'call';
      readonly name: string;
      /** `target.name(arguments)` */
      readonly target: Expression | undefined;
      readonly arguments: readonly Expression[];
      readonly at: number;
    }
  | { readonly op: 'list'; readonly items: readonly Expression[]; readonly at: number }
  | {
      readonly op: 'map';
      readonly entries: readonly (readonly [Expression, Expression])[];
      readonly at: number;
    }
  | {
      readonly op: 'and' | 'or';
      readonly left: Expression;
      readonly right: Expression;
      readonly at: number;
    }
  | {
      readonly op: 'conditional';
      readonly test: Expression;
      readonly yes: Expression;
      readonly no: Expression;
      readonly at: number;
    }
  | {
      readonly op: 'fold';
      readonly macro: FoldMacro;
      readonly over: Expression;
      readonly variable: string;
      /** Of `map` with three arguments: which entries it takes. */
      readonly filter: Expression | undefined;
      readonly body: Expression;
      readonly at: number;
    }
  /** `cel.bind(variable, value, body)`, `optMap`, `optFlatMap`. */
  | {
      readonly op: 'bind';
      readonly macro: 'bind' | 'optMap' | 'optFlatMap';
      readonly variable: string;
      readonly value: Expression;
      readonly body: Expression;
      readonly at: number;
    };

export type FoldMacro = 'all' | 'exists' | 'exists_one' | 'map' | 'filter';
