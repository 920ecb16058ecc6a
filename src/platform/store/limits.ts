/** What one transaction may hold. The API front has lower limits of its own. */
export const keyPartBytesMax = 1024;
export const facetBytesMax = 4 * 1024 * 1024;
/** Of what a writer keeps beside a facet. */
export const noteBytesMax = 1024 * 1024;
export const changesMax = 100_000;
export const transactionBytesMax = 16 * 1024 * 1024;
export const transactionsPendingMax = 65_536;
