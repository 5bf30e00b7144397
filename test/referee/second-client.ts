import {
  Client,
  type OAuthClientMetadata,
  type OAuthClientProvider,
  type OAuthDiscoveryState,
  type StoredOAuthClientInformation,
  type StoredOAuthTokens,
  StreamableHTTPClientTransport,
  UnauthorizedError,
} from '@modelcontextprotocol/client';
import { DEMO_REDIRECT_URI } from '../../app/demo/client.ts';
import type { Person } from '../../app/demo/person.ts';

/** What the second generation of the official client asks its owner to remember. */
class Memory implements OAuthClientProvider {
  readonly redirectUrl = DEMO_REDIRECT_URI;
  readonly clientMetadata: OAuthClientMetadata = {
    client_name: 'Second generation',
    redirect_uris: [DEMO_REDIRECT_URI],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
  };
  information: StoredOAuthClientInformation | undefined;
  current: StoredOAuthTokens | undefined;
  /** Everywhere that it has sent its person. */
  readonly asked: URL[] = [];
  #verifier = '';
  #discovered: OAuthDiscoveryState | undefined;

  clientInformation = () => this.information;
  tokens = () => this.current;
  codeVerifier = () => this.#verifier;
  discoveryState = () => this.#discovered;

  saveDiscoveryState(state: OAuthDiscoveryState): void {
    this.#discovered = state;
  }

  saveClientInformation(information: StoredOAuthClientInformation): void {
    this.information = information;
  }

  saveTokens(tokens: StoredOAuthTokens): void {
    this.current = tokens;
  }

  saveCodeVerifier(verifier: string): void {
    this.#verifier = verifier;
  }

  redirectToAuthorization(url: URL): void {
    this.asked.push(url);
  }
}

/**
 * The second generation of the official client, in its session protocol, as an application uses it:
 * where the SDK wants its person to sign in, the person is asked, and the same is tried again.
 */
export class SecondClient {
  readonly memory = new Memory();
  readonly #mcpUrl: string;
  #client = newClient();
  #transport: StreamableHTTPClientTransport;

  constructor(mcpUrl: string) {
    this.#mcpUrl = mcpUrl;
    this.#transport = this.#newTransport();
  }

  get sessionId(): string | undefined {
    return this.#transport.sessionId;
  }

  /** Connects with the help of `person`. */
  async connect(person: Person): Promise<void> {
    await this.withPerson(person, async () => {
      if (this.#client.transport !== undefined) await this.#client.close();
      this.#client = newClient();
      this.#transport = this.#newTransport();
      await this.#client.connect(this.#transport);
    });
  }

  /** Calls a tool; rejects when the SDK wants its person. */
  call(name: string, args: Record<string, unknown> = {}) {
    return this.#client.callTool({ name, arguments: args });
  }

  async toolNames(): Promise<string[]> {
    return (await this.#client.listTools()).tools.map(({ name }) => name);
  }

  /** Runs it, and where the SDK sends its person to sign in, once more after that. */
  async withPerson<T>(person: Person, run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      if (!(error instanceof UnauthorizedError)) throw error;
      const url = this.memory.asked.at(-1) ?? new URL('about:blank');
      const back = await person.authorize(url, DEMO_REDIRECT_URI);
      await this.#transport.finishAuth(back.searchParams);
      return await run();
    }
  }

  async close(): Promise<void> {
    await this.#transport.terminateSession();
    await this.#client.close();
  }

  #newTransport(): StreamableHTTPClientTransport {
    return new StreamableHTTPClientTransport(new URL(this.#mcpUrl), { authProvider: this.memory });
  }
}

function newClient(): Client {
  const versionNegotiation = { mode: 'legacy' } as const;
  return new Client({ name: 'second-generation', version: '1' }, { versionNegotiation });
}
