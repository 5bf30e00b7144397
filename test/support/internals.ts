import { expect } from 'bun:test';

/**
 * What tells a stranger how the program is made or where it lives: paths, places in source code,
 * SQL, names of libraries, of error classes and of system errors.
 */
const INTERNALS = [
  /(?:^|[\s"'(=])\/(?:tmp|usr|home|root|etc|proc|var|opt|nonexistent)\b/m,
  /\.(?:ts|js|sqlite|toml):?/,
  /\bat \S+ \(|\bstack\b/i,
  /sqlite|\bSQL\b|\bSELECT\b|\bINSERT\b|constraint/i,
  /elysia|arctic|\bbun\b|\bpino\b|typebox|node_modules|setpriv/i,
  /\b[A-Z]\w*(?:Error|Exception)\b|\b(?:undefined|NaN|\[object)\b/,
  /\bE(?:NOENT|ACCES|CONN[A-Z]+|PIPE|ADDR[A-Z]+|MFILE|IO|FBIG|NOSPC|PERM)\b|ConnectionRefused/,
];

/** Asserts that a body which anyone may read tells nothing internal; gives the body. */
export function expectNothingInternal(body: string): string {
  for (const pattern of INTERNALS) expect(body).not.toMatch(pattern);
  return body;
}

/** The text of an answer that must be a page for people, and must tell nothing internal. */
export async function pageText(response: Response): Promise<string> {
  expect(response.headers.get('content-type')).toStartWith('text/html');
  expect(response.headers.get('content-security-policy')).toContain("default-src 'none'");
  const html = await response.text();
  expect(html).toStartWith('<!doctype html>');
  // The style sheet is not for reading.
  return expectNothingInternal(html.replace(/<style>.*?<\/style>/s, ''));
}

/** The links of a page, by their labels. */
export function linksOf(page: string): Map<string, string> {
  const links = [...page.matchAll(/<a [^>]*href="([^"]+)"[^>]*>([^<]+)<\/a>/g)];
  return new Map(links.map(([, href = '', label = '']) => [label, href.replaceAll('&amp;', '&')]));
}
