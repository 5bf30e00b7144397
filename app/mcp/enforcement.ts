import type { Log } from '../base/log.ts';
import { errorText, type Message, type RequestId, RPC_ERROR, resultText } from '../base/message.ts';
import type { Metrics } from '../base/metrics.ts';
import { spanAtPath, spliceSpan } from '../base/splice.ts';
import type { CallRules, OwnedSession } from '../session/registry.ts';
import type { Catalogue } from '../tools/catalogue.ts';
import { decideMessage, type MethodDecision } from '../tools/methods.ts';
import { createOverlay } from '../tools/overlay.ts';
import type { Allowance, Decision } from '../tools/policy.ts';
import { FULL_SCOPE, type Scope, scopeAllows, scopeText } from '../tools/scopes.ts';
import type { BearerGrant } from './bearer.ts';
import { rpcRefusal } from './json-rpc-response.ts';
import type { StepUp } from './step-up.ts';
import type { Challenge } from './www-authenticate.ts';

export interface EnforcementParts {
  readonly catalogue: Catalogue;
  /** The most that a connection can be given now. */
  readonly ceiling: () => Scope;
  readonly challenge: Challenge;
  readonly stepUp: StepUp;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** The wall between what a client asks and its child. */
export interface Enforcement {
  /**
   * Decides about all messages of a POST, before the child sees any of them: an answer when the POST
   * is refused as a whole, else the rules under which its requests are called.
   */
  admit(messages: readonly Message[], grant: BearerGrant, session: OwnedSession): Admission;
}

export type Admission =
  | { readonly kind: 'refused'; readonly response: Response }
  | { readonly kind: 'admitted'; readonly rules: CallRules };

type MethodMessage = Exclude<Message, { kind: 'response' }>;

/** Names of tools that are remembered as told, so that nobody can fill the log with them. */
const UNREVIEWED_MAX = 256;

/** How much of a name that a client or a child made up stands in the log. */
const NAME_MAX = 64;

/** What a person can do about a refusal; the official clients show it to them. */
const WAY_OUT =
  'to allow it, disconnect this server in your application, connect it again, and choose more on the page that opens';

export function createEnforcement(parts: EnforcementParts): Enforcement {
  const { catalogue, log } = parts;
  const onUnreviewed = tellOnce(log);
  const overlay = createOverlay({ catalogue, onUnreviewed });
  return {
    admit(messages, grant, session) {
      const allowance = { permission: grant.allowed, ceiling: parts.ceiling() };
      const refused: Decided[] = [];
      let listed = false;
      for (const message of messages) {
        if (message.kind === 'response') continue;
        listed ||= message.method === LIST;
        const decision = decideMessage(message, allowance, catalogue);
        if (decision.kind !== 'allowed') {
          refused.push({ message, decision });
          note({ message, decision, grant, session, allowance }, parts);
        }
        const tool = toolOf(message);
        if (tool !== undefined && catalogue.find(tool) === undefined) onUnreviewed(tool);
      }
      // Nearly all that ever comes.
      if (refused.length === 0 && !listed) return PASSED;
      const response = wholeRefusal(refused, messages.length, {
        challenge: parts.challenge,
        challengeHelps: () => parts.stepUp.challengeHelps(grant),
      });
      if (response !== undefined) return { kind: 'refused', response };
      const shown = (result: string) => overlay.shown(result, grant.allowed);
      return { kind: 'admitted', rules: rulesFor(refused, shown) };
    },
  };
}

const LIST = 'tools/list';

const PASSED: Admission = {
  kind: 'admitted',
  rules: { refusal: () => undefined, shown: (_request, text) => text },
};

/** Each refused request gets its own answer, and a list is shown as far as it may be seen. */
function rulesFor(
  refused: readonly Decided[],
  shown: (resultText: string) => string | undefined,
): CallRules {
  const answers = new Map<Message, string>();
  for (const { message, decision } of refused) {
    if (message.kind === 'request') answers.set(message, ownAnswer(message.id, decision));
  }
  return {
    refusal: (request) => answers.get(request),
    shown: (request, text) => {
      return request.method === LIST ? shownList(text, request.id, shown) : text;
    },
  };
}

interface Decided {
  readonly message: MethodMessage;
  readonly decision: Exclude<MethodDecision, { kind: 'allowed' }>;
}

/**
 * A scope that would help is asked for by the status and the challenge of the whole answer, with all
 * that is needed at once (MCP authorization, Scope Challenge Handling); nothing of such a POST is done.
 * A client that cannot make use of a challenge gets the answers of its requests instead.
 * So is a POST with a notification that may not be, since that has no answer of its own.
 */
function wholeRefusal(
  refused: readonly Decided[],
  posted: number,
  o: { readonly challenge: Challenge; readonly challengeHelps: () => boolean },
): Response | undefined {
  let needed: Extract<Decision, { kind: 'insufficient_scope' }> | undefined;
  for (const { decision } of refused) {
    if (decision.kind !== 'insufficient_scope') continue;
    if (needed === undefined || scopeAllows(decision.needed, needed.needed)) needed = decision;
  }
  if (needed !== undefined && o.challengeHelps()) {
    const { detail: description } = needed;
    const id = soleId(refused, posted);
    const scope = scopeText(needed.needed);
    const error = { code: 'insufficient_scope', description, scope } as const;
    return rpcRefusal({
      ...{ status: 403, id, code: RPC_ERROR.invalidRequest },
      message: `${description}; ${WAY_OUT}`,
      headers: { 'www-authenticate': o.challenge(error) },
    });
  }
  for (const { message, decision } of refused) {
    if (message.kind !== 'notification' || decision.kind === 'empty') continue;
    const { detail } = decision;
    return rpcRefusal({ status: 400, id: null, code: RPC_ERROR.invalidRequest, message: detail });
  }
  return undefined;
}

/** Of a batch it cannot be said which message an error is about. */
function soleId([first]: readonly Decided[], posted: number): RequestId | null {
  return posted === 1 && first?.message.kind === 'request' ? first.message.id : null;
}

function ownAnswer(id: RequestId, decision: Exclude<MethodDecision, { kind: 'allowed' }>): string {
  switch (decision.kind) {
    case 'empty':
      return resultText(id, { [decision.member]: [] });
    case 'insufficient_scope':
      return errorText(id, RPC_ERROR.invalidRequest, `${decision.detail}; ${WAY_OUT}`);
    case 'refused':
      switch (decision.reason) {
        case 'malformed':
        case 'host_file':
        case 'address':
          return errorText(id, RPC_ERROR.invalidParams, decision.detail);
        case 'toolset':
        case 'target':
          return errorText(id, RPC_ERROR.invalidRequest, `${decision.detail}; ${WAY_OUT}`);
        case 'ceiling':
          return errorText(id, RPC_ERROR.invalidRequest, decision.detail);
      }
  }
}

/** The answer with its list as the client may see it. */
function shownList(
  text: string,
  id: RequestId,
  shown: (resultText: string) => string | undefined,
): string {
  const span = spanAtPath(text, ['result']);
  if (span === undefined || span === 'ambiguous') return noList(id);
  const list = shown(text.slice(span.start, span.end));
  return list === undefined ? noList(id) : spliceSpan(text, span, list);
}

function noList(id: RequestId): string {
  return errorText(id, RPC_ERROR.internalError, 'the program gave no list of tools');
}

/**
 * One line for each refusal: who, with what, asked for which tool, and why not. Of the values of
 * arguments only what it would touch, where that is the reason.
 */
function note(
  refusal: Decided & {
    readonly grant: BearerGrant;
    readonly session: OwnedSession;
    readonly allowance: Allowance;
  },
  { log, metrics, catalogue }: EnforcementParts,
): void {
  const { message, decision, grant, session, allowance } = refusal;
  if (decision.kind === 'empty') return;
  const reason = decision.kind === 'refused' ? decision.reason : 'scope';
  metrics.callsRefused.inc({ reason });
  const tool = toolOf(message);
  const { toolset, scope: least } = catalogue.find(tool ?? '') ?? {};
  // What nobody has reviewed needs everything; a call can need more than its tool does at least.
  const needs = decision.needed ?? least ?? (tool === undefined ? undefined : FULL_SCOPE);
  log.info('call.refused', {
    ...{ session: session.shortId, login: grant.login, client: grant.clientId },
    ...{ grant: grant.grantId, method: message.method.slice(0, NAME_MAX) },
    ...{ tool: tool?.slice(0, NAME_MAX), toolset, reason, has: allowance.permission.scope },
    needs,
    targets: decision.kind === 'refused' ? decision.targets : undefined,
  });
}

function toolOf({ method, params }: MethodMessage): string | undefined {
  if (method !== 'tools/call') return undefined;
  const { name } = (params ?? {}) as { readonly name?: unknown };
  return typeof name === 'string' ? name : undefined;
}

/** Each tool once, and no more than so many: a client can make up names. */
function tellOnce(log: Log): (tool: string) => void {
  const told = new Set<string>();
  return (tool) => {
    const name = tool.slice(0, NAME_MAX);
    if (told.has(name) || told.size >= UNREVIEWED_MAX) return;
    told.add(name);
    log.warn('tool.unreviewed', { tool: name, needs: 'forgejo:delete' });
  };
}
