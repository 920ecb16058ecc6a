/** The text format that Prometheus scrapes, version 0.0.4. */
import type { Metrics } from './types.ts';

export const prometheusContentType = 'text/plain; version=0.0.4; charset=utf-8';

/** Everything that the registry knows now. */
export function prometheusText(metrics: Metrics): string {
  const lines: string[] = [];
  for (const { name, help, type, samples } of metrics.families()) {
    if (samples.length === 0) continue;
    lines.push(`# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}`);
    lines.push(`# TYPE ${name} ${type}`);
    for (const { suffix, labels, value } of samples) {
      const pairs = labels.map(([label, text]) => `${label}="${escaped(text)}"`);
      const inBraces = pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
      lines.push(`${name}${suffix}${inBraces} ${numberText(value)}`);
    }
  }
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function numberText(value: number): string {
  if (value === Infinity) return '+Inf';
  if (value === -Infinity) return '-Inf';
  return String(value);
}
