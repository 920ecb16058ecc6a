/** The pages that are made from the code, and where they lie. */
import { sourceFiles } from '../tidy/source-files.ts';
import { authorizationPage } from './authorization.ts';
import { commandsPage } from './commands.ts';
import { errorsPage } from './errors.ts';
import { kindsPage } from './kinds.ts';
import { kubernetesApiPage } from './kubernetes-api.ts';
import { limitsPage } from './limits.ts';
import { metricsPage } from './metrics.ts';
import { openApiFiles } from './openapi.ts';

export interface Page {
  /** From the project's root. */
  readonly path: string;
  readonly text: string;
}

export async function referencePages(): Promise<readonly Page[]> {
  const made = '<!-- Made from the code by `npm run reference`; a test compares. -->\n\n';
  return [
    { path: 'docs/reference/kinds.md', text: made + kindsPage() },
    { path: 'docs/reference/kubernetes-api.md', text: made + kubernetesApiPage() },
    { path: 'docs/reference/commands.md', text: made + commandsPage() },
    { path: 'docs/reference/errors.md', text: made + errorsPage(sourceFiles(['src'], ['.ts'])) },
    { path: 'docs/reference/limits.md', text: made + limitsPage(sourceFiles(['src'], ['.ts'])) },
    { path: 'docs/reference/authorization.md', text: made + (await authorizationPage()) },
    { path: 'docs/reference/metrics.md', text: made + (await metricsPage()) },
    ...openApiFiles(),
  ];
}
