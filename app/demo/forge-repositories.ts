import type { DemoUser } from './forge-state.ts';

export interface DemoIssue {
  readonly number: number;
  readonly title: string;
  readonly body: string;
  readonly author: DemoUser;
  /** RFC 3339. */
  readonly createdAt: string;
}

export interface DemoRepository {
  readonly id: number;
  readonly name: string;
  readonly owner: DemoUser;
  readonly isPrivate: boolean;
  readonly description: string;
  readonly issues: readonly DemoIssue[];
}

const REPOSITORIES_MAX = 1000;
const ISSUES_MAX = 1000;

/** The repositories of the demo forge; each user starts with a public and a private one. */
export class DemoRepositories {
  readonly #all: (DemoRepository & { readonly issues: DemoIssue[] })[] = [];

  constructor(users: readonly DemoUser[]) {
    for (const user of users) {
      this.make(user, 'garden', false, `What ${user.login} shows to everyone`);
      this.make(user, 'diary', true, `What only ${user.login} may read`);
    }
  }

  ownedBy(user: DemoUser): readonly DemoRepository[] {
    return this.#all.filter(({ owner }) => owner === user);
  }

  /** What `reader` may see under that name; a private one of another user does not exist. */
  find(reader: DemoUser, owner: string, name: string): DemoRepository | undefined {
    return this.#all.find(
      (each) =>
        each.owner.login === owner &&
        each.name === name &&
        (!each.isPrivate || each.owner === reader),
    );
  }

  /** undefined: the name is taken, or there are enough. */
  make(
    owner: DemoUser,
    name: string,
    isPrivate: boolean,
    description: string,
  ): DemoRepository | undefined {
    const taken = this.#all.some((each) => each.owner === owner && each.name === name);
    if (taken || this.#all.length >= REPOSITORIES_MAX) return undefined;
    const made = { id: this.#all.length + 1, name, owner, isPrivate, description, issues: [] };
    this.#all.push(made);
    return made;
  }

  /** undefined: the repository has enough of them. */
  open(repository: DemoRepository, issue: Omit<DemoIssue, 'number'>): DemoIssue | undefined {
    const kept = this.#all.find(({ id }) => id === repository.id);
    if (kept === undefined || kept.issues.length >= ISSUES_MAX) return undefined;
    const opened = { ...issue, number: kept.issues.length + 1 };
    kept.issues.push(opened);
    return opened;
  }
}
