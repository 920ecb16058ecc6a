/** What a CustomResourceDefinition may hold. */

/** Definitions that a server has at one time. */
export const definitionsMax = 1_000;
/** Schemas in one version, counted with all that are in them. */
export const schemaNodesMax = 30_000;
export const schemaDepthMax = 64;
/** Entries of one allOf, anyOf or oneOf. */
export const alternativesMax = 100;
export const enumValuesMax = 1_000;
export const versionsMax = 20;
export const columnsMax = 64;
export const selectableFieldsMax = 8;
export const shortNamesMax = 16;
export const categoriesMax = 16;
export const patternLengthMax = 2_048;
export const jsonPathLengthMax = 512;
/** Rules in one version. */
export const celRulesMax = 2_000;
export const celRuleLengthMax = 5_120;
export const celMessageLengthMax = 2_048;
