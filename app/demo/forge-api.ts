import type { Clock } from '../base/clock.ts';
import type { OnDemoForgeEvent } from './forge-event.ts';
import { type DemoRequest, json, readJson } from './forge-http.ts';
import type { DemoRepositories, DemoRepository } from './forge-repositories.ts';
import type { DemoState, DemoUser } from './forge-state.ts';
import { bearerOf } from './forge-token-endpoint.ts';
import type { DemoTokens } from './forge-tokens.ts';

/** What `GET /api/v1/version` says; the version that was observed. */
export const DEMO_FORGE_VERSION = '7.0.8';

export interface ApiOptions {
  readonly state: DemoState;
  readonly tokens: DemoTokens;
  readonly repositories: DemoRepositories;
  readonly clock: Clock;
  readonly onEvent: OnDemoForgeEvent;
}

/** The part of `/api/v1` that the demo child and Forgejo's own MCP server use. */
export function apiHandler(options: ApiOptions): (request: DemoRequest) => Response {
  const { tokens, onEvent } = options;
  return (request) => {
    const path = request.url.pathname.slice('/api/v1'.length);
    if (path === '/version' && request.method === 'GET') {
      return json(200, { version: DEMO_FORGE_VERSION });
    }
    const user = tokens.readAccess(bearerOf(request.headers) ?? '')?.user;
    if (user === undefined) {
      onEvent({ kind: 'api_refused', text: `Forgejo's API refuses a token (${path})` });
      return failure(request, 401, 'user does not exist [uid: 0, name: ]');
    }
    onEvent({ kind: 'api_called', text: `${user.login}: ${request.method} /api/v1${path}` });
    return route(options, request, path, user);
  };
}

function route(options: ApiOptions, request: DemoRequest, path: string, user: DemoUser): Response {
  const { method } = request;
  const { repositories } = options;
  if (path === '/user' && method === 'GET') return json(200, userBody(request, user));
  if (path === '/user/repos' && method === 'GET') {
    return page(request, repositories.ownedBy(user), (each) => repositoryBody(request, each));
  }
  if (path === '/user/repos' && method === 'POST') {
    const { name, private: isPrivate, description } = readJson(request.body) ?? {};
    if (typeof name !== 'string' || name === '') return failure(request, 422, '[Name]: Required');
    const made = repositories.make(user, name, isPrivate === true, String(description ?? ''));
    if (made === undefined) {
      return failure(request, 409, 'The repository with the same name already exists.');
    }
    return json(201, repositoryBody(request, made));
  }
  const [, owner = '', name = '', rest = ''] = path.match(/^\/repos\/([^/]+)\/([^/]+)(.*)$/) ?? [];
  const repository = repositories.find(user, decodeURIComponent(owner), decodeURIComponent(name));
  if (repository === undefined) return failure(request, 404, "The target couldn't be found.");
  if (rest === '' && method === 'GET') return json(200, repositoryBody(request, repository));
  if (rest === '/issues') return issues(options, request, repository, user);
  const issue = repository.issues.find(({ number }) => rest === `/issues/${number}`);
  if (issue === undefined || method !== 'GET') {
    return failure(request, 404, "The target couldn't be found.");
  }
  return json(200, issueBody(request, repository, issue));
}

function issues(
  { repositories, clock }: ApiOptions,
  request: DemoRequest,
  repository: DemoRepository,
  user: DemoUser,
): Response {
  if (request.method === 'GET') {
    return page(request, repository.issues.toReversed(), (issue) =>
      issueBody(request, repository, issue),
    );
  }
  if (request.method !== 'POST') return failure(request, 405, 'Method Not Allowed');
  const { title, body } = readJson(request.body) ?? {};
  if (typeof title !== 'string' || title === '') return failure(request, 422, '[Title]: Required');
  const issue = repositories.open(repository, {
    title,
    body: typeof body === 'string' ? body : '',
    author: user,
    createdAt: new Date(clock.now()).toISOString(),
  });
  if (issue === undefined) return failure(request, 403, 'the demo repository is full');
  return json(201, issueBody(request, repository, issue));
}

/** Forgejo's error body has the address of its API description in it. */
function failure(request: DemoRequest, status: number, message: string): Response {
  return json(status, { message, url: `${request.url.origin}/api/swagger` });
}

const PAGE_SIZE_MAX = 50;

function page<T>(request: DemoRequest, all: readonly T[], body: (each: T) => unknown): Response {
  const number = (name: string, fallback: number) =>
    Math.max(1, Math.trunc(Number(request.url.searchParams.get(name))) || fallback);
  const size = Math.min(PAGE_SIZE_MAX, number('limit', 30));
  const start = (number('page', 1) - 1) * size;
  const answer = json(200, all.slice(start, start + size).map(body));
  answer.headers.set('x-total-count', String(all.length));
  return answer;
}

function userBody({ url }: DemoRequest, user: DemoUser) {
  return {
    id: user.id,
    login: user.login,
    login_name: '',
    full_name: user.fullName,
    email: `${user.login}@example.org`,
    avatar_url: `${url.origin}/avatars/${user.id}`,
    html_url: `${url.origin}/${user.login}`,
    language: 'en-US',
    is_admin: user.isAdmin,
    restricted: false,
    active: user.active,
    prohibit_login: user.prohibitLogin,
    visibility: 'public',
    username: user.login,
  };
}

function repositoryBody(request: DemoRequest, repository: DemoRepository) {
  const fullName = `${repository.owner.login}/${repository.name}`;
  return {
    id: repository.id,
    owner: userBody(request, repository.owner),
    name: repository.name,
    full_name: fullName,
    description: repository.description,
    private: repository.isPrivate,
    fork: false,
    default_branch: 'main',
    open_issues_count: repository.issues.length,
    html_url: `${request.url.origin}/${fullName}`,
    clone_url: `${request.url.origin}/${fullName}.git`,
    has_issues: true,
  };
}

function issueBody(
  request: DemoRequest,
  repository: DemoRepository,
  issue: DemoRepository['issues'][number],
) {
  const fullName = `${repository.owner.login}/${repository.name}`;
  return {
    id: repository.id * 1000 + issue.number,
    number: issue.number,
    title: issue.title,
    body: issue.body,
    state: 'open',
    user: userBody(request, issue.author),
    labels: [],
    assignees: null,
    comments: 0,
    created_at: issue.createdAt,
    updated_at: issue.createdAt,
    html_url: `${request.url.origin}/${fullName}/issues/${issue.number}`,
    repository: { id: repository.id, name: repository.name, full_name: fullName },
  };
}
