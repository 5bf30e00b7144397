import type { Digest } from '../base/secret.ts';
import { createGrantEnd } from './grants.ts';
import type { StoreContext } from './store-context.ts';
import type {
  RefreshSuccessor,
  RefreshTokenProof,
  Rotation,
  RotationRequest,
  TokenAnswerRow,
} from './tokens.ts';

/** Exchanges a refresh token within the transaction of the caller (OAuth 2.1 section 4.3.1). */
export function createRotation(context: StoreContext): (request: RotationRequest) => Rotation {
  const { connection, clock } = context;
  const lookUp = createRefreshLookUp(context);
  const confirm = createConfirm(context);
  const endGrant = createGrantEnd(context);
  const insertAnswer = createAnswerInsert(context);
  const insertAccess = createAccessInsert(context);
  const countAnswer = connection.prepare<never, [string]>(
    'UPDATE refresh_tokens SET answers = answers + 1 WHERE digest = ?',
  );
  const repeat = (token: RefreshTokenProof, given: RefreshSuccessor, r: RotationRequest) => {
    if (given.expiresAt <= clock.now()) return GONE;
    if (given.answers >= r.answersMax) return TOO_MANY_ANSWERS;
    // The same token and the same key give the same successor; anything else would fork the family.
    if (given.digest !== r.successor.digest) throw new Error('a token has one successor');
    countAnswer.run(given.digest);
    insertAccess(token.grantId, given.digest, r.access);
    return rotated(given.expiresAt);
  };
  return (request) => {
    const token = lookUp(request.predecessor);
    if (token === undefined || !mayRotate(token, request.clientId, clock.now())) return GONE;
    confirm(token.digest);
    const { successor } = token;
    if (successor === null) {
      const answer = { access: request.access, refresh: request.successor };
      insertAnswer(token.grantId, answer, token.digest);
      return rotated(request.successor.expiresAt);
    }
    if (successor.confirmed) {
      // Two parties hold this token, and one of them went on with it (RFC 9700 section 4.14.2).
      endGrant(token.grantId, 'refresh_reuse');
      return { kind: 'reuse', grantId: token.grantId };
    }
    return repeat(token, successor, request);
  };
}

const GONE = { kind: 'gone' } as const;
const TOO_MANY_ANSWERS = { kind: 'too_many_answers' } as const;

function rotated(refreshExpiresAt: number): Rotation {
  return { kind: 'rotated', refreshExpiresAt };
}

function mayRotate(token: RefreshTokenProof, clientId: string, now: number): boolean {
  const alive = token.expiresAt > now && !token.grantEnded;
  return alive && token.clientId === clientId && token.accountState === 'active';
}

/** Reads a refresh token with its grant, its account and its successor. */
export function createRefreshLookUp({ connection }: StoreContext) {
  const find = connection.prepare<RefreshRow, [string]>(
    `SELECT r.digest, r.grant_id AS grantId, g.client_id AS clientId, g.account_id AS accountId,
       u.state AS accountState, g.scope, g.resource, r.expires_at AS expiresAt,
       g.ended_at IS NOT NULL AS grantEnded, s.digest AS nextDigest, s.key_id AS nextKeyId,
       s.expires_at AS nextExpiresAt, s.confirmed_at IS NOT NULL AS nextConfirmed,
       s.answers AS nextAnswers
     FROM refresh_tokens AS r
     JOIN grants AS g ON g.id = r.grant_id
     JOIN accounts AS u ON u.id = g.account_id
     LEFT JOIN refresh_tokens AS s ON s.predecessor = r.digest
     WHERE r.digest = ?`,
  );
  return (digest: Digest): RefreshTokenProof | undefined => {
    const row = find.get(digest);
    if (row === null) return undefined;
    const { nextDigest, nextKeyId, nextExpiresAt, nextConfirmed, nextAnswers, ...token } = row;
    const successor: RefreshSuccessor | null = nextDigest && {
      digest: nextDigest,
      keyId: nextKeyId,
      expiresAt: nextExpiresAt,
      confirmed: nextConfirmed === 1,
      answers: nextAnswers,
    };
    return { ...token, grantEnded: row.grantEnded === 1, successor };
  };
}

/** Marks an answer as used, so that its predecessor is spent; the first time counts. */
export function createConfirm({ connection, clock }: StoreContext): (digest: Digest) => void {
  const confirm = connection.prepare<never, [number, string]>(
    'UPDATE refresh_tokens SET confirmed_at = ? WHERE digest = ? AND confirmed_at IS NULL',
  );
  return (digest) => {
    confirm.run(clock.now(), digest);
  };
}

/**
 * Inserts both tokens of a new answer. Without a predecessor there is nothing that its first use
 * would spend, so it counts as confirmed from the start.
 */
export function createAnswerInsert(context: StoreContext) {
  const insert = context.connection.prepare<never, [AnswerRow]>(
    `INSERT INTO refresh_tokens (digest, grant_id, predecessor, key_id, answers, confirmed_at,
       created_at, expires_at)
     VALUES ($digest, $grantId, $predecessor, $keyId, 1, $confirmedAt, $now, $expiresAt)`,
  );
  const insertAccess = createAccessInsert(context);
  return (grantId: string, answer: TokenAnswerRow, predecessor: Digest | null): void => {
    const now = context.clock.now();
    const confirmedAt = predecessor === null ? now : null;
    insert.run({ ...answer.refresh, grantId, predecessor, confirmedAt, now });
    insertAccess(grantId, answer.refresh.digest, answer.access);
  };
}

function createAccessInsert({ connection, clock }: StoreContext) {
  const insert = connection.prepare<never, [AccessRow]>(
    `INSERT INTO access_tokens (digest, grant_id, answer, scope, created_at, expires_at)
     VALUES ($digest, $grantId, $answer, $scope, $now, $expiresAt)`,
  );
  return (grantId: string, answer: Digest, access: TokenAnswerRow['access']): void => {
    insert.run({ ...access, grantId, answer, now: clock.now() });
  };
}

type RefreshRow = Omit<RefreshTokenProof, 'grantEnded' | 'successor'> & {
  readonly grantEnded: number;
  readonly nextDigest: Digest | null;
  readonly nextKeyId: string | null;
  readonly nextExpiresAt: number;
  readonly nextConfirmed: number;
  readonly nextAnswers: number;
};

type AnswerRow = {
  readonly digest: string;
  readonly grantId: string;
  readonly predecessor: string | null;
  readonly keyId: string | null;
  readonly confirmedAt: number | null;
  readonly now: number;
  readonly expiresAt: number;
};

type AccessRow = {
  readonly digest: string;
  readonly grantId: string;
  readonly answer: string;
  readonly scope: string;
  readonly now: number;
  readonly expiresAt: number;
};
