/** A site of somebody who means harm, by two names that Chromium tells apart. */
export interface AttackSite {
  /** Another site than the broker: no cookie of ours travels with its requests but with links. */
  readonly foreign: string;
  /** The broker's own host with another port: the same site, so our cookie travels, another origin. */
  readonly sibling: string;
  /** Puts a page there and returns its path. */
  page(body: string): string;
  stop(): Promise<void>;
}

/** Listens on loopback. */
export function startAttackSite(): AttackSite {
  const pages: string[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch(request) {
      const body = pages[Number(new URL(request.url).pathname.slice(1))];
      if (body === undefined) return new Response(null, { status: 404 });
      return new Response(`<!doctype html><title>You have won</title>${body}`, {
        headers: { 'content-type': 'text/html; charset=utf-8' },
      });
    },
  });
  return {
    foreign: `http://localhost:${server.port}`,
    sibling: `http://127.0.0.1:${server.port}`,
    page: (body) => `/${pages.push(body) - 1}`,
    stop: () => server.stop(true),
  };
}

/** Fields that a form sends. */
export type FormFields = Readonly<Record<string, string>>;

/** A page that sends a form the moment it is opened. */
export function selfSendingForm(action: string, fields: FormFields, target = '_self'): string {
  const inputs = Object.entries(fields).map(
    ([name, value]) => `<input type="hidden" name="${name}" value="${Bun.escapeHTML(value)}">`,
  );
  return `<form method="post" action="${Bun.escapeHTML(action)}" target="${target}">${inputs.join('')}
</form><script>document.forms[0].submit()</script>`;
}
