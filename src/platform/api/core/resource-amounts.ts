/** Amounts of resources by their names, as LimitRange, ResourceQuota and RuntimeClass have them. */

/** Quantities may be given as plain numbers; they are served as text. In place. */
export function quantitiesAsText(amounts: Record<string, string | number> | undefined): void {
  for (const [name, amount] of Object.entries(amounts ?? {})) {
    if (typeof amount === 'number') (amounts as Record<string, string>)[name] = String(amount);
  }
}
