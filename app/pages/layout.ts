import { Html, html } from './html.ts';
import { STYLESHEET, STYLESHEET_SOURCE } from './stylesheet.ts';

/** What every page has. */
export interface Page {
  /** What the person is to do, or what has happened; the heading says the same. */
  readonly title: string;
  readonly body: Html;
}

/**
 * Nothing is loaded, no script runs, no site can frame the page or take its forms elsewhere, and no
 * base element can bend its links.
 */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  `style-src ${STYLESHEET_SOURCE}`,
  'img-src data:',
  "form-action 'self'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
].join('; ');

/**
 * `no-referrer` would make the Origin of our own forms `null`, which they are refused for; under
 * `same-origin` no other site hears of the page's address either.
 */
const PAGE_HEADERS: Readonly<Record<string, string>> = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': CONTENT_SECURITY_POLICY,
  'x-frame-options': 'DENY',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'same-origin',
  'cache-control': 'no-store',
};

/** A page as an answer, with the headers that keep it what it is. */
export function pageResponse(
  page: Page,
  options: { readonly status?: number; readonly headers?: Readonly<Record<string, string>> } = {},
): Response {
  return new Response(layout(page).text, {
    status: options.status ?? 200,
    headers: { ...PAGE_HEADERS, ...options.headers },
  });
}

/** The frame around a page: one heading, one main part, readable on a phone and in the dark. */
function layout({ title, body }: Page): Html {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>${title}</title>
<link rel="icon" href="data:image/svg+xml,${encodeURIComponent(ICON)}">
<style>${new Html(STYLESHEET)}</style>
</head>
<body>
<main>
${new Html(MARK)}
<h1>${title}</h1>
${body}
</main>
<footer>forgejo-mcp-broker connects applications to Forgejo.</footer>
</body>
</html>
`;
}

/** Two ends and the bridge between them. */
const SHAPE =
  '<path d="M10 34V22a14 14 0 0 1 28 0v12" fill="none" stroke="currentColor" stroke-width="5" stroke-linecap="round"/><circle cx="10" cy="36" r="6" fill="currentColor"/><circle cx="38" cy="36" r="6" fill="currentColor"/>';
const MARK = `<svg class="mark" viewBox="0 0 48 48" aria-hidden="true" focusable="false">${SHAPE}</svg>`;
const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 48 48" color="#2a9d78">${SHAPE}</svg>`;
