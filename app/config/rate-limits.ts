import {
  LIMIT_NAMES,
  type LimitName,
  type RateLimitRule,
  type RateLimitRules,
} from '../base/rate-limits.ts';
import { count, duration, type Parsed, parsed, TIMER_MAX_MS, wrong } from './parse.ts';
import type { RawValue } from './setting.ts';

/**
 * What holds where nothing else is said. Hosted clients send the requests of all their users from a
 * few addresses, so what a good sign-in needs stands far below each of them.
 */
export const RATE_LIMITS =
  'register=120/1h authorize=120/1m sign_in=240/1m token=600/1m unauthorized=300/1m ' +
  'account_sign_in=60/1h account_token=60/1m account_mcp=3000/1m';

const OFF = 'off';

/**
 * `authorize=30/1m account_mcp=off`: what is not named keeps its default. `off` alone switches all
 * of them off.
 */
export function rateLimits(raw: RawValue): Parsed<RateLimitRules> {
  const entries = typeof raw === 'string' ? raw.split(/[\s,]+/).filter(Boolean) : raw;
  if (entries.length === 1 && entries[0] === OFF) return parsed(ALL_OFF);
  const given = readEntries(entries);
  if (!given.ok) return given;
  const defaults = readEntries(RATE_LIMITS.split(' '));
  return defaults.ok ? parsed({ ...ALL_OFF, ...defaults.value, ...given.value }) : defaults;
}

const ALL_OFF = Object.fromEntries(LIMIT_NAMES.map((name) => [name, null])) as RateLimitRules;

type SomeRules = Partial<Record<LimitName, RateLimitRule | null>>;

function readEntries(entries: readonly string[]): Parsed<SomeRules> {
  const rules: SomeRules = {};
  const reasons: string[] = [];
  for (const entry of entries) {
    const [first = '', rest, ...more] = entry.split('=');
    const name = LIMIT_NAMES.find((candidate) => candidate === first);
    if (name === undefined || rest === undefined || more.length > 0) {
      reasons.push(`"${entry}" is not NAME=COUNT/DURATION with one of ${LIMIT_NAMES.join(', ')}`);
      continue;
    }
    const rule = rest === OFF ? parsed(null) : readRule(rest);
    if (name in rules) reasons.push(`${name} is named twice`);
    else if (rule.ok) rules[name] = rule.value;
    else reasons.push(`${name}: ${rule.reason}`);
  }
  return reasons.length === 0 ? parsed(rules) : wrong(reasons.join('; '));
}

function readRule(text: string): Parsed<RateLimitRule> {
  const [times = '', window, ...more] = text.split('/');
  if (window === undefined || more.length > 0) {
    return wrong(`must be COUNT/DURATION, such as 60/1m, or ${OFF}; not "${text}"`);
  }
  const counted = count(1, 1_000_000_000)(times);
  if (!counted.ok) return counted;
  // The library's timer for a window is the system's.
  const windowMs = duration(1000, Math.min(24 * 3_600_000, TIMER_MAX_MS))(window);
  return windowMs.ok ? parsed({ count: counted.value, windowMs: windowMs.value }) : windowMs;
}
