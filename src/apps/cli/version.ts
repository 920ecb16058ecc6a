/** `selvage version`. */
import { type CliContext, type ExitCode, exitCodes } from './context.ts';
import { type OutputFormat, printStructured } from './output.ts';

export function version(context: CliContext, format: OutputFormat): ExitCode {
  const facts = { product: 'selvage', version: context.productVersion, node: context.nodeVersion };
  if (format === 'text') {
    context.standardOutput.write(`selvage ${facts.version} (Node.js ${facts.node})\n`);
  } else {
    printStructured(context.standardOutput, format, facts);
  }
  return exitCodes.ok;
}
