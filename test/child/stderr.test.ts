import { describe, expect, it } from 'bun:test';
import { createMetrics } from '../../app/base/metrics.ts';
import { Secret } from '../../app/base/secret.ts';
import { createStderrLog, STDERR_LINE_BYTES_MAX } from '../../app/child/stderr.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { createMemoryLog } from '../support/memory-log.ts';

const LINES_PER_SECOND = 7;
const TOKEN = 'canary-upstream-token-0123456789';

function setUp() {
  const clock = new FakeClock();
  const memory = createMemoryLog();
  const metrics = createMetrics();
  const stderr = createStderrLog({
    token: new Secret(TOKEN),
    linesPerSecond: LINES_PER_SECOND,
    clock,
    log: memory.log.with({ session: 'abcd1234' }),
    metrics,
  });
  const lines = () => memory.of('child.stderr').map((entry) => String(entry.line));
  const write = (text: string) => stderr.push(new TextEncoder().encode(text));
  return { clock, memory, metrics, stderr, lines, write };
}

describe("a child's stderr (MCP transports, stdio)", () => {
  it("S10: keeps the child's own token out of the log", () => {
    const { memory, write } = setUp();
    write(`FORGEJO_ACCESS_TOKEN=${TOKEN} and again ${TOKEN}\n`);
    expect(memory.text()).not.toContain(TOKEN);
  });

  it('S10: keeps everything that looks like a credential out of the log', () => {
    const { memory, write } = setUp();
    write('Authorization: token abcdefgh12345678\n');
    write('eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl\n');
    expect(memory.text()).not.toMatch(/abcdefgh12345678|c2lnbmF0dXJl/);
  });

  it('S10: keeps no beginning of a credential that the cut has shortened', () => {
    const { lines, write } = setUp();
    const before = 'x '.repeat((STDERR_LINE_BYTES_MAX - 10) / 2);
    write(`${before}${TOKEN}\n`);
    expect(lines()[0]).not.toContain('canary');
    expect(lines()[0]).toEndWith('[cut]');
  });

  it('P5: takes time in proportion to a line that it cuts, however that was built', () => {
    const { clock, lines, write } = setUp();
    const line = `${'x'.repeat(STDERR_LINE_BYTES_MAX - 1)} rest\n`;
    // A quadratic expression would need half a minute, and the runner's time-out would tell.
    for (let times = 0; times < 1500; times += 1) {
      write(line);
      clock.advance(1000);
    }
    expect(lines()).toHaveLength(1500);
  }, 10_000);

  it('P5: logs a line of exactly the limit whole and cuts the one beyond', () => {
    const { lines, write } = setUp();
    write(`${'-'.repeat(STDERR_LINE_BYTES_MAX - 1)}!\n`);
    write(`${'!'.repeat(STDERR_LINE_BYTES_MAX)}+\n`);
    expect(lines()[0]).toHaveLength(STDERR_LINE_BYTES_MAX);
    expect(lines()[1]).toBe(`${'!'.repeat(STDERR_LINE_BYTES_MAX)}[cut]`);
  });

  it('P5: logs as many lines in a second as the limit, counts the others and says so', () => {
    const { clock, memory, lines, write } = setUp();
    for (let i = 0; i < LINES_PER_SECOND; i += 1) write(`line ${i}\n`);
    expect(lines()).toHaveLength(LINES_PER_SECOND);
    write('one beyond\n');
    expect(lines()).toHaveLength(LINES_PER_SECOND);
    clock.advance(1000);
    write('a new second\n');
    expect(memory.of('child.stderr_left_out')).toMatchObject([{ lines: 1 }]);
    expect(lines().at(-1)).toBe('a new second');
  });

  it('P5: says at the end how many lines were left out', () => {
    const { memory, stderr, write } = setUp();
    write('again\n'.repeat(LINES_PER_SECOND + 7));
    stderr.close();
    expect(memory.of('child.stderr_left_out')).toMatchObject([{ lines: 7 }]);
  });

  it('P5: logs the last words of a child that had no time for a line feed', () => {
    const { stderr, lines, write } = setUp();
    write('panic: no forge');
    stderr.close();
    expect(lines()).toEqual(['panic: no forge']);
  });

  it('P5: takes colours and control characters out, and is no error', () => {
    const { memory, lines, write } = setUp();
    write('\x1b[31mERROR\x1b[0m ring\x07 \x1b]0;title\x07done\n');
    expect(lines()).toEqual(['ERROR ring  done']);
    expect(memory.of('child.stderr')).toMatchObject([{ level: 'info', session: 'abcd1234' }]);
  });
});
