import { type Catalogue, createCatalogue } from '../../app/tools/catalogue.ts';

/** The catalogue as the broker has it, with an administrator's file over it. */
export function reviewedCatalogue(ownToml?: string): Catalogue {
  const made = createCatalogue(ownToml);
  if (!made.ok) throw new Error(made.error.join('; '));
  return made.value;
}
