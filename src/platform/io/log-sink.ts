/** Structured log lines of our own processes. No secret ever goes into a field. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface Logger {
  log(level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>): void;
  /** A logger that adds `fields` to every line. */
  with(fields: Readonly<Record<string, unknown>>): Logger;
}

/** For callers that were given none. */
export const silentLogger: Logger = {
  log() {},
  with: () => silentLogger,
};
