/** Counters, gauges and histograms in memory. See types.ts for the invariants. */
import { assert } from '#base/mod.ts';
import type {
  Counter,
  Gauge,
  Histogram,
  MetricFamily,
  Metrics,
  MetricType,
  Sample,
} from './types.ts';

const seriesMax = 2_000;
const metricsMax = 500;
const otherLabel = 'other';

interface Series {
  readonly values: readonly string[];
  samples(labels: readonly (readonly [string, string])[]): readonly Sample[];
}

interface Family {
  readonly help: string;
  readonly type: MetricType;
  readonly labels: readonly string[];
  readonly series: () => Iterable<Series>;
  /** Finds or makes the series of these label values. */
  readonly at: (...values: string[]) => Series;
}

/** A registry of its own for each process; none is global. */
export function createMetrics(): Metrics {
  const families = new Map<string, Family>();

  function register(name: string, family: Family): Family {
    assert(/^[a-z][a-z0-9_]*$/.test(name), `${name} is a metric's name`);
    for (const label of family.labels)
      assert(/^[a-z][a-z0-9_]*$/.test(label), `${label} is a label`);
    const present = families.get(name);
    if (present !== undefined) {
      const agrees = present.type === family.type && present.labels.join() === family.labels.join();
      assert(agrees, `${name} means one thing`);
      return present;
    }
    assert(families.size < metricsMax, 'metrics are named in the code, not made up at run time');
    families.set(name, family);
    return family;
  }

  function counted<Kept extends Series>(
    name: string,
    help: string,
    type: MetricType,
    labels: readonly string[],
    make: (values: readonly string[]) => Kept,
  ): (...values: string[]) => Kept {
    const kept = new Map<string, Kept>();
    const at = (...values: string[]): Kept => {
      assert(values.length === labels.length, `${name} has ${labels.length} labels`);
      const key = values.join('\0');
      let series = kept.get(key);
      if (series !== undefined) return series;
      if (kept.size >= seriesMax && values.some((value) => value !== otherLabel)) {
        return at(...values.map(() => otherLabel));
      }
      series = make(values);
      kept.set(key, series);
      return series;
    };
    const family = register(name, { help, type, labels, series: () => kept.values(), at });
    // The one that was there first holds the series.
    return family.at as (...values: string[]) => Kept;
  }

  return {
    counter: (name, help, labels = []) => counted(name, help, 'counter', labels, numberSeries),
    gauge: (name, help, labels = []) => counted(name, help, 'gauge', labels, numberSeries),
    histogram: (name, help, bounds, labels = []) =>
      counted(name, help, 'histogram', labels, (values) => histogramSeries(values, bounds)),
    observed(name, help, type, labels, read) {
      const series = (): Series[] =>
        Array.from(read(), ([values, value]) => {
          assert(values.length === labels.length, `${name} has ${labels.length} labels`);
          return { values, samples: (pairs) => [{ suffix: '', labels: pairs, value }] };
        });
      const at = (): never => {
        throw new Error(`${name} is read, not counted`);
      };
      register(name, { help, type, labels, series, at });
    },
    families: () =>
      [...families]
        .toSorted(([left], [right]) => (left < right ? -1 : 1))
        .map(([name, family]) => familyNow(name, family)),
  };
}

function familyNow(name: string, { help, type, labels, series }: Family): MetricFamily {
  const samples = [...series()].flatMap((one) =>
    one.samples(labels.map((label, index) => [label, one.values[index] ?? ''] as const)),
  );
  return { name, help, type, labels, samples };
}

function numberSeries(values: readonly string[]): Series & Counter & Gauge {
  let value = 0;
  return {
    values,
    add(by = 1) {
      value += by;
    },
    set(to) {
      value = to;
    },
    samples: (labels) => [{ suffix: '', labels, value }],
  };
}

function histogramSeries(values: readonly string[], bounds: readonly number[]): Series & Histogram {
  const counts = new Float64Array(bounds.length + 1);
  let sum = 0;
  return {
    values,
    observe(value) {
      sum += value;
      let index = 0;
      while (index < bounds.length && value > (bounds[index] ?? Infinity)) index += 1;
      counts[index] = (counts[index] ?? 0) + 1;
    },
    samples(labels) {
      const samples: Sample[] = [];
      let count = 0;
      for (const [index, own] of counts.entries()) {
        count += own;
        const bound = bounds[index];
        const upTo = bound === undefined ? '+Inf' : String(bound);
        samples.push({ suffix: '_bucket', labels: [...labels, ['le', upTo]], value: count });
      }
      samples.push({ suffix: '_sum', labels, value: sum });
      samples.push({ suffix: '_count', labels, value: count });
      return samples;
    },
  };
}
