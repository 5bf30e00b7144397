import { describe, expect, it } from 'bun:test';
import { withInstalledPlaces } from '../../app/command/installed.ts';

const CONFIG = '/etc/fjmcp-broker/config.toml';
const CREDENTIALS = '/etc/fjmcp-broker/credentials';

describe('a command for the administrator of an installed broker', () => {
  it('finds what the installer has put there, and keeps the rest of its environment', () => {
    expect(withInstalledPlaces({ PATH: '/bin' }, () => true)).toEqual({
      PATH: '/bin',
      FJMCP_CONFIG: CONFIG,
      CREDENTIALS_DIRECTORY: CREDENTIALS,
    });
  });

  it('is not told of what is not there', () => {
    expect(withInstalledPlaces({ PATH: '/bin' }, (path) => path === CONFIG)).toEqual({
      PATH: '/bin',
      FJMCP_CONFIG: CONFIG,
    });
    expect(withInstalledPlaces({}, () => false)).toEqual({});
  });

  it('lets what is said win, but not what is said empty', () => {
    const said = { FJMCP_CONFIG: '/mine.toml', CREDENTIALS_DIRECTORY: '/run/credentials/x' };
    expect(withInstalledPlaces(said, () => true)).toEqual(said);
    expect(withInstalledPlaces({ FJMCP_CONFIG: '' }, () => true).FJMCP_CONFIG).toBe(CONFIG);
  });
});
