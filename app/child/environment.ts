import type { Secret } from '../base/secret.ts';

/** Where programs of a child are looked for; the broker's own PATH may be anything. */
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** A home that holds no file and in which not even root can make one: none configures a child. */
const HOME = '/dev/null';

/**
 * The complete environment of a child. It is built, never inherited: what an administrator sets
 * for the broker, its own secrets and `FORGEJO_MCP_ALLOW_FILE_PATH_UPLOAD` (which lets a tool read
 * files of the host, CVE-2026-61560) cannot get in. The token travels here and not in the
 * arguments, which every user of the machine may read.
 */
export function childEnvironment(values: {
  readonly token: Secret;
  readonly forgejoUrl: string;
  readonly userAgent: string;
}): Record<string, string> {
  return {
    FORGEJO_ACCESS_TOKEN: values.token.reveal(),
    FORGEJO_URL: values.forgejoUrl,
    FORGEJO_USER_AGENT: values.userAgent,
    PATH,
    HOME,
    LANG: 'C.UTF-8',
  };
}
