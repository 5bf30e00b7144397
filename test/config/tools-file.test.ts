import { describe, expect, it } from 'bun:test';
import { catalogueFaults } from '../../app/tools/catalogue.ts';
import { faults, loaded } from './config-input.ts';

const PATH = '/etc/fjmcp/tools.toml';
const NAMES = '--tools-file (FJMCP_TOOLS_FILE, tools_file)';
const env = { FJMCP_TOOLS_FILE: PATH };

describe('TOOLS_FILE', () => {
  it('is refused when it cannot be read', () => {
    expect(faults({ env })).toEqual([`${NAMES}: cannot read ${PATH}: no such file or directory`]);
    const files = { [PATH]: { isRegular: false } };
    expect(faults({ env, files })).toEqual([`${NAMES}: ${PATH} is not a regular file`]);
  });

  it('is refused with every fault of what stands in it, beside those of other settings', () => {
    const files = { [PATH]: '[tools]\nget_org = { class = "x" }\nmine = { class = "read" }\n' };
    const told = faults({
      env: { ...env, FJMCP_MAX_SCOPE: 'x' },
      files,
      toolsFaults: catalogueFaults,
    });
    expect(told).toHaveLength(2);
    expect(told).toContain(
      `${NAMES}: ${PATH}: tools.get_org: class: must be "read", "write" or "delete"`,
    );
  });

  it('is what stands in the file, and nothing without one', () => {
    const toml = '[tools]\nget_org = { class = "write" }\n';
    expect(loaded({ env, files: { [PATH]: toml } }).toolsToml).toBe(toml);
    expect(loaded().toolsToml).toBeUndefined();
  });
});
