import { type Html, html } from './html.ts';
import type { ClientView } from './views.ts';

/**
 * The client in a sentence, as its subject. Anyone may register under any name, so a name that the
 * administrator did not write is marked as the client's own claim.
 */
export function clientPhrase({ name, verified }: Pick<ClientView, 'name' | 'verified'>): Html {
  if (name === '') return html`An application that gives no name`;
  const shown = html`<strong><bdi>${name}</bdi></strong>`;
  if (verified) return html`${shown}, which the administrator of this server has set up,`;
  return html`An application that calls itself ${shown}`;
}

/** Where the answer goes: what a person can check, unlike a name. */
export function returnPlace({ returnsTo }: Pick<ClientView, 'returnsTo'>): Html {
  switch (returnsTo.kind) {
    case 'web':
      return html`<section>
<h2>Access is handed to</h2>
<p class="place">${returnsTo.host}</p>
<p class="soft">Allow it only if you know this address and have just come from there.</p>
</section>`;
    case 'loopback':
      return html`<section>
<h2>Access is handed to</h2>
<p class="place">a program on your own computer</p>
<p class="soft">It listens at ${returnsTo.host}, on the computer in front of you. Any program there can use any name, so allow it only if you have just started this connection yourself.</p>
</section>`;
    case 'private_use':
      return html`<section>
<h2>Access is handed to</h2>
<p class="place">the program on this device that opens “${returnsTo.scheme}:” links</p>
<p class="soft">Your device decides which program that is. Allow it only if you have just started this connection yourself.</p>
</section>`;
  }
}
