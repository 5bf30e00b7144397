import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { aptMirror } from './apt-mirror.ts';
import type { Certificates } from './certificates.ts';
import { NAMES, type Network } from './network.ts';

/** What answers on the run's network besides its machines. */
export interface Internet {
  /** Where the files below the directory of downloads are had, without a trailing slash. */
  readonly downloads: string;
  /** The address of the forge as people's browsers see it. */
  readonly forge: string;
  /** Paths that were asked for at the downloads, oldest first. */
  readonly downloaded: string[];
  stop(): Promise<void>;
}

export interface InternetOptions {
  readonly network: Network;
  readonly certificates: Certificates;
  /** Its files are served as they are at the time of a request. */
  readonly downloadsDirectory: string;
  /** Where the demo forge listens. */
  readonly forgeUrl: string;
  /** What the forge's API gives to somebody who makes an OAuth2 application with this token. */
  readonly application: {
    readonly token: string;
    readonly clientId: string;
    readonly clientSecret: string;
  };
}

const MAKE_APPLICATION = '/api/v1/user/applications/oauth2';

/** Serves downloads and forge over https, and a Debian mirror over http, at the network's address. */
export function startInternet(options: InternetOptions): Internet {
  const hostname = options.network.address;
  const downloaded: string[] = [];
  const secure = Bun.serve({
    ...{ hostname, port: 443, idleTimeout: 0 },
    tls: { key: options.certificates.key, cert: options.certificates.certificate },
    fetch(request) {
      switch (request.headers.get('host')) {
        case NAMES.downloads: {
          const { pathname } = new URL(request.url);
          downloaded.push(pathname);
          return download(options.downloadsDirectory, pathname);
        }
        case NAMES.forge:
          return new URL(request.url).pathname === MAKE_APPLICATION
            ? makeApplication(request, options.application)
            : forward(request, options.forgeUrl);
        default:
          return nothing();
      }
    },
  });
  const plain = Bun.serve({ ...{ hostname, port: 80, idleTimeout: 0 }, fetch: aptMirror });
  return {
    downloads: `https://${NAMES.downloads}`,
    forge: `https://${NAMES.forge}`,
    downloaded,
    async stop() {
      await Promise.all([secure.stop(true), plain.stop(true)]);
    },
  };
}

function download(directory: string, pathname: string): Response {
  const path = join(directory, decodeURIComponent(pathname));
  const inside = path.startsWith(`${directory}/`) && existsSync(path) && statSync(path).isFile();
  return inside ? new Response(Bun.file(path)) : nothing();
}

/** As Forgejo does; the demo forge has the one application from its start. */
async function makeApplication(
  request: Request,
  { token, clientId, clientSecret }: InternetOptions['application'],
): Promise<Response> {
  if (request.method !== 'POST') return new Response(null, { status: 405 });
  if (request.headers.get('authorization') !== `token ${token}`) {
    return Response.json({ message: 'token is required' }, { status: 401 });
  }
  const asked = (await request.json()) as Record<string, unknown>;
  const answer = { id: 1, ...asked, client_id: clientId, client_secret: clientSecret };
  return Response.json(answer, { status: 201 });
}

/** Gives TLS to the demo forge, as a reverse proxy does. */
async function forward(request: Request, forgeUrl: string): Promise<Response> {
  const { pathname, search } = new URL(request.url);
  const body = request.body === null ? undefined : await request.arrayBuffer();
  const answer = await fetch(`${forgeUrl}${pathname}${search}`, {
    method: request.method,
    headers: request.headers,
    redirect: 'manual',
    ...(body === undefined ? {} : { body }),
  });
  return new Response(answer.body, { status: answer.status, headers: answer.headers });
}

function nothing(): Response {
  return new Response('not found\n', { status: 404 });
}
