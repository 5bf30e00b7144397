import styleFile from 'swagger-ui-dist/swagger-ui.css' with { type: 'file' };
import bundleFile from 'swagger-ui-dist/swagger-ui-bundle.js' with { type: 'file' };

export type AssetName = 'swagger-ui-bundle.js' | 'swagger-ui.css' | 'start.js';

/** One hour: long enough for a reader, short enough after an upgrade. */
const ASSET_CACHING = 'public, max-age=3600';

/**
 * What the page needs, measured: styles that scripts set on elements are not style attributes, so no
 * inline style is allowed; the stylesheet has its pictures as data. Scripts are files of this origin.
 */
const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** The files of the page: a path on this machine (embedded in a compiled program), or a text. */
export const ASSETS: Readonly<Record<AssetName, { readonly type: string; body(): BodyInit }>> = {
  'swagger-ui-bundle.js': { type: 'text/javascript', body: () => Bun.file(bundleFile) },
  'swagger-ui.css': { type: 'text/css', body: () => Bun.file(styleFile) },
  'start.js': { type: 'text/javascript', body: () => START_SCRIPT },
};

/** One file of the page. */
export function assetResponse(name: AssetName): Response {
  const { type, body } = ASSETS[name];
  return new Response(body(), {
    headers: {
      'content-type': `${type}; charset=utf-8`,
      'cache-control': ASSET_CACHING,
      'x-content-type-options': 'nosniff',
      'cross-origin-resource-policy': 'same-origin',
    },
  });
}

/** The page that shows the document at `documentPath`. */
export function docsPage(documentPath: string, assetsPath: string): Response {
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>API reference: forgejo-mcp-broker</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${assetsPath}/swagger-ui.css">
</head>
<body>
<div id="reference" data-document="${documentPath}"></div>
<noscript>The reference needs scripts; the document itself is at <a href="${documentPath}">${documentPath}</a>.</noscript>
<script src="${assetsPath}/swagger-ui-bundle.js"></script>
<script src="${assetsPath}/start.js"></script>
</body>
</html>
`;
  return new Response(html, {
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': PAGE_POLICY,
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'cross-origin-opener-policy': 'same-origin',
      'cache-control': 'no-cache',
    },
  });
}

/**
 * Starts the viewer: no validator badge, which would send our address to swagger.io, and no buttons
 * that send requests, since a page on this origin would carry the reader's cookie.
 */
const START_SCRIPT = `'use strict';
const place = document.getElementById('reference');
SwaggerUIBundle({
  domNode: place,
  url: place.dataset.document,
  presets: [SwaggerUIBundle.presets.apis],
  layout: 'BaseLayout',
  validatorUrl: null,
  supportedSubmitMethods: [],
  deepLinking: true,
});
`;
