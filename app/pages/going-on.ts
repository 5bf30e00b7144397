import { html } from './html.ts';
import { pageResponse } from './layout.ts';
import type { GoingOnView } from './views.ts';

/**
 * Goes on by itself and by a link. Not a redirect: Chromium applies `form-action` to the redirects
 * after a form, silently, so a 303 to another site would leave the person with a dead button.
 */
export function goingOnPage({ to, url, destination }: GoingOnView): Response {
  const text =
    to === 'forge'
      ? 'You sign in there, and come back here by yourself.'
      : 'Once you are there, you can close this page.';
  return pageResponse(
    {
      title: `Continue to ${destination}`,
      body: html`<p>You are being taken there. If nothing happens, follow the link. ${text}</p>
<p class="choices"><a class="button" href="${url}">Continue</a></p>`,
    },
    { headers: { refresh: `0; url=${url}` } },
  );
}
