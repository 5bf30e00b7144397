import { type Digest, Secret } from '../base/secret.ts';
import type { StoreContext } from './store-context.ts';

/**
 * `consent`: our page is shown. `forge`: approved, the person is at Forgejo. `confirm`: Forgejo
 * named an account that the consent page did not show, and the person is asked.
 */
export type AuthorizationStage = 'consent' | 'forge' | 'confirm';

/** A login on its way (RFC 6749 section 4.1.1). It is deleted when its code is issued. */
export interface AuthorizationRequest {
  /** Of a random value; names the request in the forms of our pages, where it proves nothing. */
  readonly digest: Digest;
  readonly clientId: string;
  /** As the client sent it; empty when it sent none and means the only one it has registered. */
  readonly redirectUri: string;
  readonly codeChallenge: string;
  /** The client's `state`, sealed in the row. */
  readonly clientState: string | null;
  /** What the client asked for, in the words of ours that it used; empty when it used none. */
  readonly scope: string;
  /** JSON of what the person allowed; null until then, and for one approved by a release before. */
  readonly permission: string | null;
  readonly resource: string;
  /** The browser in which the consent page was shown. */
  readonly browserDigest: Digest;
  readonly shownAccountId: number | null;
  readonly stage: AuthorizationStage;
  /** Who came back from Forgejo; known from `confirm` on. */
  readonly accountId: number | null;
  readonly expiresAt: number;
}

/** What `create` takes: the rest of a new request is known. */
export type NewAuthorizationRequest = Omit<
  AuthorizationRequest,
  'stage' | 'accountId' | 'permission'
>;

/** A person's yes to the consent page. */
export interface Approval {
  readonly approvalDigest: Digest;
  readonly upstreamStateDigest: Digest;
  /** JSON of what the person allowed. */
  readonly permission: string;
  readonly expiresAt: number;
}

/** Every function treats an expired request as one that does not exist. */
export interface AuthorizationRequests {
  /** Keeps a request in stage `consent`; false when `requestsMax` of them are on their way. */
  create(
    request: NewAuthorizationRequest,
    approvalDigest: Digest,
    requestsMax: number,
  ): Promise<boolean>;
  find(digest: Digest): Promise<AuthorizationRequest | undefined>;
  /**
   * `consent` to `forge`, once, and only with the approval value of the page; from here the request
   * is known by its upstream `state`. Undefined when it is not there, in another stage, or the
   * value is another.
   */
  approve(digest: Digest, approval: Approval): Promise<AuthorizationRequest | undefined>;
  /** The request of an upstream `state` whose callback was not taken yet; changes nothing. */
  findCallback(upstreamStateDigest: Digest): Promise<AuthorizationRequest | undefined>;
  /** The same, once: a callback that is loaded again finds nothing. */
  takeCallback(upstreamStateDigest: Digest): Promise<AuthorizationRequest | undefined>;
  /** `forge` to `confirm`, after the callback was taken; false when the request has gone. */
  toConfirm(
    digest: Digest,
    accountId: number,
    approvalDigest: Digest,
    expiresAt: number,
  ): Promise<boolean>;
  /** The confirmed request, once, and only with the approval value of the page. */
  takeConfirm(digest: Digest, approvalDigest: Digest): Promise<AuthorizationRequest | undefined>;
  delete(digest: Digest): Promise<void>;
}

export function createAuthorizationRequests(context: StoreContext): AuthorizationRequests {
  const { connection, clock } = context;
  const create = createInsert(context);
  const steps = prepareSteps(context);
  const asRequest = (row: RequestRow | null): AuthorizationRequest | undefined => {
    if (row === null) return undefined;
    const sealed = row.clientState;
    const clientState = sealed && context.keyring.open(sealed, statePlace(context, row.digest));
    return { ...row, clientState: clientState?.reveal() ?? null };
  };
  return {
    create: (request, approvalDigest, requestsMax) =>
      connection.write(() => create(request, approvalDigest, requestsMax)),
    find: (digest) =>
      connection.read(() => asRequest(steps.find.get({ digest, now: clock.now() }))),
    approve: (digest, approval) =>
      connection.write(() =>
        asRequest(steps.approve.get({ ...approval, digest, now: clock.now() })),
      ),
    findCallback: (state) =>
      connection.read(() => asRequest(steps.findCallback.get({ state, now: clock.now() }))),
    takeCallback: (state) =>
      connection.write(() => asRequest(steps.takeCallback.get({ state, now: clock.now() }))),
    toConfirm: (digest, accountId, approvalDigest, expiresAt) =>
      connection.write(
        () => steps.toConfirm.run({ digest, accountId, approvalDigest, expiresAt }).changes > 0,
      ),
    takeConfirm: (digest, approvalDigest) =>
      connection.write(() =>
        asRequest(steps.takeConfirm.get({ digest, approvalDigest, now: clock.now() })),
      ),
    delete: (digest) =>
      connection.write(() => {
        steps.remove.run(digest);
      }),
  };
}

/** Each step is one statement that names the state it starts from, so none can happen twice. */
function prepareSteps({ connection }: StoreContext) {
  return {
    find: connection.prepare<RequestRow, [{ digest: string; now: number }]>(
      `SELECT ${COLUMNS} FROM authorization_requests WHERE digest = $digest AND expires_at > $now`,
    ),
    approve: connection.prepare<RequestRow, [ApproveRow]>(
      `UPDATE authorization_requests SET stage = 'forge', approval_digest = NULL,
         upstream_state_digest = $upstreamStateDigest, permission = $permission,
         expires_at = $expiresAt
       WHERE digest = $digest AND stage = 'consent' AND approval_digest = $approvalDigest
         AND expires_at > $now
       RETURNING ${COLUMNS}`,
    ),
    findCallback: connection.prepare<RequestRow, [{ state: string; now: number }]>(
      `SELECT ${COLUMNS} FROM authorization_requests WHERE ${WAITING_FOR_CALLBACK}`,
    ),
    takeCallback: connection.prepare<RequestRow, [{ state: string; now: number }]>(
      `UPDATE authorization_requests SET callback_taken_at = $now
       WHERE ${WAITING_FOR_CALLBACK} RETURNING ${COLUMNS}`,
    ),
    // Forgejo may have answered after the expiry; the person who waits is still there.
    toConfirm: connection.prepare<never, [ConfirmRow]>(
      `UPDATE authorization_requests SET stage = 'confirm', account_id = $accountId,
         approval_digest = $approvalDigest, expires_at = $expiresAt
       WHERE digest = $digest AND stage = 'forge' AND callback_taken_at IS NOT NULL`,
    ),
    takeConfirm: connection.prepare<
      RequestRow,
      [{ digest: string; approvalDigest: string; now: number }]
    >(
      `UPDATE authorization_requests SET approval_digest = NULL
       WHERE digest = $digest AND stage = 'confirm' AND approval_digest = $approvalDigest
         AND expires_at > $now
       RETURNING ${COLUMNS}`,
    ),
    remove: connection.prepare<never, [string]>(
      'DELETE FROM authorization_requests WHERE digest = ?',
    ),
  };
}

function createInsert(context: StoreContext) {
  const { connection, clock, keyring } = context;
  const count = connection.prepare<{ count: number }, []>(
    'SELECT count(*) AS count FROM authorization_requests',
  );
  const dropExpired = connection.prepare<never, [number]>(
    'DELETE FROM authorization_requests WHERE expires_at <= ?',
  );
  const insert = connection.prepare<never, [NewRow]>(
    `INSERT INTO authorization_requests (digest, client_id, redirect_uri, code_challenge,
       client_state, scope, resource, browser_digest, shown_account_id, stage, approval_digest,
       created_at, expires_at)
     VALUES ($digest, $clientId, $redirectUri, $codeChallenge, $clientState, $scope, $resource,
       $browserDigest, $shownAccountId, 'consent', $approvalDigest, $now, $expiresAt)`,
  );
  const onTheirWay = () => count.get()?.count ?? 0;
  return (
    request: NewAuthorizationRequest,
    approvalDigest: Digest,
    requestsMax: number,
  ): boolean => {
    const now = clock.now();
    if (onTheirWay() >= requestsMax) dropExpired.run(now);
    if (onTheirWay() >= requestsMax) return false;
    const { clientState: clear, ...rest } = request;
    const clientState =
      clear === null ? null : keyring.seal(new Secret(clear), statePlace(context, request.digest));
    insert.run({ ...rest, clientState, approvalDigest, now });
    return true;
  };
}

type RequestRow = Omit<AuthorizationRequest, 'clientState'> & {
  readonly clientState: Uint8Array | null;
};

type NewRow = Omit<NewAuthorizationRequest, 'clientState'> & {
  readonly clientState: Uint8Array | null;
  readonly approvalDigest: string;
  readonly now: number;
};

type ConfirmRow = {
  readonly digest: string;
  readonly accountId: number;
  readonly approvalDigest: string;
  readonly expiresAt: number;
};

type ApproveRow = { readonly [Key in keyof Approval]: Approval[Key] } & {
  readonly digest: string;
  readonly now: number;
};

const COLUMNS = `digest, client_id AS clientId, redirect_uri AS redirectUri,
  code_challenge AS codeChallenge, client_state AS clientState, scope, permission,
  resource, browser_digest AS browserDigest, shown_account_id AS shownAccountId, stage,
  account_id AS accountId, expires_at AS expiresAt`;

const WAITING_FOR_CALLBACK = `upstream_state_digest = $state AND stage = 'forge'
  AND callback_taken_at IS NULL AND expires_at > $now`;

/** A `state` may carry whatever a client puts into it, so it is sealed like a token. */
function statePlace(context: StoreContext, digest: Digest) {
  return context.place(digest, 'authorization_requests.client_state');
}
