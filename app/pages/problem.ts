import { html } from './html.ts';
import { pageResponse } from './layout.ts';
import type { ProblemView } from './views.ts';

/** Says what is wrong and what the person can do; nothing of what happened inside. */
export function problemPage({ status, title, paragraphs, links }: ProblemView): Response {
  const body = html`${paragraphs.map(
    (text) => html`<p>${text}</p>
`,
  )}${
    links.length === 0
      ? null
      : html`<p class="choices">${links.map(({ href, label }) => html`<a class="button" href="${href}">${label}</a>`)}</p>`
  }`;
  return pageResponse({ title, body }, { status });
}
