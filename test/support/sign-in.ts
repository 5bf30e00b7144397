import { ClientMemory, DemoClient } from '../../app/demo/client.ts';
import { type HttpFetch, Person, type PersonOptions } from '../../app/demo/person.ts';

/** A demo user with a browser of their own. */
export function alice(options: Partial<PersonOptions> = {}): Person {
  return new Person({ login: 'alice', password: 'wonderland', ...options });
}

export function bob(options: Partial<PersonOptions> = {}): Person {
  return new Person({ login: 'bob', password: 'workshop', ...options });
}

/** A client that knows only the address. */
export function newClient(mcpUrl: string, httpFetch?: HttpFetch): DemoClient {
  return new DemoClient(mcpUrl, new ClientMemory('Test client'), httpFetch);
}

/** Registers a client, signs the person in and gives the access token that came of it. */
export async function accessTokenOf(mcpUrl: string, person: Person = alice()): Promise<string> {
  const client = newClient(mcpUrl);
  await client.authorize(person);
  return tokenOf(client);
}

export function tokenOf(client: DemoClient): string {
  return client.memory.current?.access_token ?? '';
}
