import type { BrowserContext, Page } from 'playwright-core';

/** What Chromium had to say against pages of one origin. */
export interface Complaints {
  /** Refusals by a content security policy, script errors, and errors in the console. */
  readonly all: readonly string[];
  /** Resolves once something is complained about. */
  readonly first: Promise<string>;
}

/**
 * Listens to every page of `context`. Policy reports come from the inspector's own audit, so they are
 * seen with scripts off too and no page can hide them.
 */
export async function collectComplaints(
  context: BrowserContext,
  origin: string,
): Promise<Complaints> {
  const all: string[] = [];
  const { promise: first, resolve } = Promise.withResolvers<string>();
  const add = (complaint: string) => {
    all.push(complaint);
    resolve(complaint);
  };
  const watch = async (page: Page) => {
    page.on('pageerror', (error) => add(error.message));
    page.on('console', (message) => {
      const from = message.location().url;
      if (message.type() === 'error' && from.startsWith(origin)) add(message.text());
    });
    const inspector = await context.newCDPSession(page);
    inspector.on('Audits.issueAdded', ({ issue }) => {
      const refused = issue.details.contentSecurityPolicyIssueDetails;
      if (refused !== undefined) add(`refused by policy: ${refused.violatedDirective}`);
    });
    await inspector.send('Audits.enable');
  };
  context.on('page', (page) => void watch(page).catch(() => undefined));
  await Promise.all(context.pages().map(watch));
  return { all, first };
}
