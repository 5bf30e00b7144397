import { auth, type OAuthClientProvider } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type {
  OAuthClientInformationMixed,
  OAuthClientMetadata,
  OAuthTokens,
} from '@modelcontextprotocol/sdk/shared/auth.js';
import type { HttpFetch, Person } from './person.ts';

/** Where the client asks to be sent back; nothing listens there, the person's browser hands it over. */
export const DEMO_REDIRECT_URI = 'http://127.0.0.1:33418/callback';

/** The memory of an MCP client: its registration, tokens and verifier, as the official SDK asks. */
export class ClientMemory implements OAuthClientProvider {
  readonly redirectUrl: string;
  readonly clientMetadata: OAuthClientMetadata;
  information: OAuthClientInformationMixed | undefined;
  current: OAuthTokens | undefined;
  /** Where the client wants its person to go next. */
  authorizationUrl: URL | undefined;
  #verifier = '';
  readonly #state: string = crypto.randomUUID();

  constructor(name: string, redirectUri: string = DEMO_REDIRECT_URI) {
    this.redirectUrl = redirectUri;
    this.clientMetadata = {
      client_name: name,
      redirect_uris: [redirectUri],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    };
  }

  state = (): string => this.#state;
  clientInformation = () => this.information;
  tokens = () => this.current;
  codeVerifier = (): string => this.#verifier;

  saveClientInformation(information: OAuthClientInformationMixed): void {
    this.information = information;
  }

  saveTokens(tokens: OAuthTokens): void {
    this.current = tokens;
  }

  saveCodeVerifier(verifier: string): void {
    this.#verifier = verifier;
  }

  redirectToAuthorization(url: URL): void {
    this.authorizationUrl = url;
  }

  invalidateCredentials(scope: 'all' | 'client' | 'tokens' | 'verifier' | 'discovery'): void {
    if (scope === 'all' || scope === 'client') this.information = undefined;
    if (scope === 'all' || scope === 'tokens') this.current = undefined;
  }
}

/**
 * What a connection of the SDK gets of its client's memory. It signs in by itself whenever a stream
 * that it takes up again is answered with 401, a second after that stream has ended, while the person
 * may be in the midst of the sign-in that the caller has begun. So it keeps its own verifier, and it
 * changes no tokens but those that it has read.
 */
function apart(memory: ClientMemory): OAuthClientProvider {
  let verifier = '';
  let read: OAuthTokens | undefined;
  return {
    redirectUrl: memory.redirectUrl,
    clientMetadata: memory.clientMetadata,
    state: memory.state,
    clientInformation: memory.clientInformation,
    saveClientInformation: (information) => memory.saveClientInformation(information),
    tokens() {
      read = memory.current;
      return read;
    },
    saveTokens(tokens) {
      if (memory.current === read) memory.saveTokens(tokens);
    },
    saveCodeVerifier(made) {
      verifier = made;
    },
    codeVerifier: () => verifier,
    redirectToAuthorization: () => undefined,
    invalidateCredentials(scope) {
      if (memory.current === read) memory.invalidateCredentials(scope);
    },
  };
}

/** An MCP client made of the official SDK alone: it knows the address of `/mcp` and its person. */
export class DemoClient {
  readonly memory: ClientMemory;
  readonly mcpUrl: URL;
  readonly #fetch: HttpFetch;
  #transport: StreamableHTTPClientTransport | undefined;
  #client: Client | undefined;

  constructor(mcpUrl: string, memory: ClientMemory, httpFetch: HttpFetch = fetch) {
    this.mcpUrl = new URL(mcpUrl);
    this.memory = memory;
    this.#fetch = httpFetch;
  }

  /** The connected SDK client; throws before `connect`. */
  get client(): Client {
    if (this.#client === undefined) throw new Error('the client is not connected');
    return this.#client;
  }

  get sessionId(): string | undefined {
    return this.#transport?.sessionId;
  }

  /** From nothing to an authorization URL: challenge, discovery, registration. */
  async startAuthorization(): Promise<URL> {
    const result = await this.#auth();
    const url = this.memory.authorizationUrl;
    if (result !== 'REDIRECT' || url === undefined) throw new Error('no sign-in was asked for');
    return url;
  }

  /** Checks what came back at the redirect URI and exchanges the code (RFC 6749 section 4.1.3). */
  async finishAuthorization(redirected: URL): Promise<void> {
    const refused = redirected.searchParams.get('error');
    if (refused !== null) throw new Error(`the sign-in was refused: ${refused}`);
    if (redirected.searchParams.get('state') !== this.memory.state()) {
      throw new Error('the state that came back is not the one that was sent');
    }
    const authorizationCode = redirected.searchParams.get('code') ?? '';
    const result = await this.#auth(authorizationCode);
    if (result !== 'AUTHORIZED') throw new Error('the code was not exchanged');
  }

  /** The whole sign-in, with the person's help. */
  async authorize(person: Person): Promise<void> {
    const url = await this.startAuthorization();
    await this.finishAuthorization(await person.authorize(url, this.memory.redirectUrl));
  }

  /**
   * Opens a session. The SDK asks for a stream (GET) in the background and answers a 401 to it with
   * a refresh of its own, which would race the caller's next step: so its answer is waited for.
   */
  async connect(): Promise<Client> {
    const client = new Client({ name: 'fjmcp-demo-client', version: '1.0.0' });
    const streamAnswered = Promise.withResolvers<void>();
    const transport = new StreamableHTTPClientTransport(this.mcpUrl, {
      authProvider: apart(this.memory),
      fetch: (url, init) => {
        const answer = this.#fetch(url, init);
        if (init?.method === 'GET') void answer.finally(streamAnswered.resolve).catch(() => {});
        return answer;
      },
    });
    // The SDK's own types disagree under exactOptionalPropertyTypes (sessionId).
    await client.connect(transport as Parameters<Client['connect']>[0]);
    await streamAnswered.promise;
    this.#client = client;
    this.#transport = transport;
    return client;
  }

  /** Uses the refresh token (RFC 6749 section 6). */
  async refresh(): Promise<void> {
    const before = this.memory.current?.access_token;
    const result = await this.#auth();
    if (result !== 'AUTHORIZED' || this.memory.current?.access_token === before) {
      throw new Error('the refresh gave no new access token');
    }
  }

  /** Ends the session (DELETE) and the connection. */
  async close(): Promise<void> {
    await this.#transport?.terminateSession();
    await this.#client?.close();
  }

  #auth(authorizationCode?: string) {
    return auth(this.memory, {
      serverUrl: this.mcpUrl,
      fetchFn: this.#fetch,
      ...(authorizationCode === undefined ? {} : { authorizationCode }),
    });
  }
}
