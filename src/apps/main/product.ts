/** What this program is, wherever it lies: in a checkout, in a package, in one file. */
import packageFile from '../../../package.json' with { type: 'json' };

export const productVersion: string = packageFile.version;
