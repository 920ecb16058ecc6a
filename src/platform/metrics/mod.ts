export { measuredDisk } from './measured-disk.ts';
export { createMetrics } from './metrics.ts';
export { prometheusContentType, prometheusText } from './prometheus-text.ts';
export { type Counter, type Metrics } from './types.ts';
