/**
 * Numbers about ourselves, for Prometheus. Names, labels and units follow its
 * conventions: `selvage_<part>_<what>_<unit>`, counters end in `_total`, seconds
 * and bytes are base units.
 *
 * Invariants:
 * 1. Counting costs no allocation once a series is there: hold on to the series.
 * 2. A metric has at most `seriesMax` series; what would be one more is counted
 *    together under the label value `other`, so nobody can fill the memory by
 *    inventing values.
 * 3. No label holds anything secret, nor the name of a user's object.
 */

export interface Counter {
  /** `by` is not negative; 1 where absent. */
  add(by?: number): void;
}

export interface Gauge {
  set(value: number): void;
  add(by: number): void;
}

export interface Histogram {
  observe(value: number): void;
}

export type MetricType = 'counter' | 'gauge' | 'histogram';

/** One line of the answer: name with suffix, labels, value. */
export interface Sample {
  /** `''`, `_bucket`, `_sum` or `_count`. */
  readonly suffix: string;
  readonly labels: readonly (readonly [string, string])[];
  readonly value: number;
}

export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  readonly type: MetricType;
  readonly labels: readonly string[];
  readonly samples: readonly Sample[];
}

export interface Metrics {
  /** The same name twice gives the same metric; help and labels must then agree. */
  counter(name: string, help: string, labels?: readonly string[]): (...values: string[]) => Counter;
  gauge(name: string, help: string, labels?: readonly string[]): (...values: string[]) => Gauge;
  /** `bounds` rise; the one above all of them is added. */
  histogram(
    name: string,
    help: string,
    bounds: readonly number[],
    labels?: readonly string[],
  ): (...values: string[]) => Histogram;
  /**
   * What is known without being counted: `read` is asked when somebody looks, and
   * answers with one value for each set of label values.
   */
  observed(
    name: string,
    help: string,
    type: 'counter' | 'gauge',
    labels: readonly string[],
    read: () => Iterable<readonly [values: readonly string[], value: number]>,
  ): void;
  families(): readonly MetricFamily[];
}
