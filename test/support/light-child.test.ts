import { describe, expect, it } from 'bun:test';
import { stdioClient } from '../fixture/connect.ts';
import { LIGHT_CHILD_KINDS, type LightChild, lightChild } from './light-child.ts';

const NOOP = '"method":"tools/call","params":{"name":"noop","arguments":{"id":1,"method":"x"}}';

/** Sends the lines, closes stdin; what came out and the exit code. */
async function run({ command }: LightChild, input: string) {
  const child = Bun.spawn(command, { stdin: Buffer.from(input), stdout: 'pipe' });
  return { output: await new Response(child.stdout).text(), code: await child.exited };
}

it('finds a light child on every machine, and the same one again', () => {
  const first = lightChild();
  expect(LIGHT_CHILD_KINDS).toContain(first.kind);
  expect(lightChild()).toEqual(first);
  expect(lightChild([])).toBeUndefined();
});

for (const kind of LIGHT_CHILD_KINDS) {
  const child = lightChild([kind]);
  if (child === undefined) process.stderr.write(`skipped: light child in ${kind}: no compiler\n`);
  describe.skipIf(child === undefined)(`light child in ${kind}`, () => {
    const there = child as LightChild;

    it('refuses what is not JSON, an unknown method and an unknown tool', async () => {
      const { output, code } = await run(
        there,
        [
          'nonsense',
          '[]',
          '{"jsonrpc":"2.0","id":1,"method":"prompts/list"}',
          '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"noop2"}}',
          '',
        ].join('\n'),
      );
      expect(output.split('\n')).toEqual([
        '{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}',
        '{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}',
        '{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"Method not found"}}',
        '{"jsonrpc":"2.0","id":2,"error":{"code":-32602,"message":"Unknown tool"}}',
        '',
      ]);
      expect(code).toBe(0);
    });

    it('says nothing to notifications, empty lines and an unfinished line', async () => {
      const { output, code } = await run(
        there,
        '{"jsonrpc":"2.0","method":"notifications/initialized"}\n\n{"jsonrpc":"2.0","id":1',
      );
      expect(output).toBe('');
      expect(code).toBe(0);
    });

    it('echoes the id byte for byte, wherever it stands in the message', async () => {
      const ids = ['0', '-7', '9007199254740993', '""', '"a\\"b\\\\"', '"\\u0041 é"'];
      const { output } = await run(
        there,
        ids
          .map((id, index) =>
            index % 2 === 0
              ? `{"jsonrpc":"2.0","id":${id},${NOOP}}\n`
              : `{${NOOP} , "id" : ${id} , "jsonrpc":"2.0"}\r\n`,
          )
          .join(''),
      );
      const result = '"result":{"content":[{"type":"text","text":"ok"}]}';
      expect(output).toBe(ids.map((id) => `{"jsonrpc":"2.0","id":${id},${result}}\n`).join(''));
    });

    it('reads a line that is longer than any of its buffers', async () => {
      const long = `{"jsonrpc":"2.0","id":5,"method":"ping","params":{"x":"${'é'.repeat(200_000)}"}}`;
      const { output } = await run(there, `${long}\n${long}\n`);
      expect(output).toBe('{"jsonrpc":"2.0","id":5,"result":{}}\n'.repeat(2));
    });

    it('serves the official client in each revision that is asked for', async () => {
      const { client, transport } = stdioClient(there.command);
      await client.connect(transport);
      expect((await client.listTools()).tools).toMatchObject([{ name: 'noop' }]);
      expect(await client.callTool({ name: 'noop' })).toEqual({
        content: [{ type: 'text', text: 'ok' }],
      });
      expect(await client.ping()).toEqual({});
      await client.close();
      const ask = (version: string) =>
        run(there, `{"id":1,"method":"initialize","params":{"protocolVersion":"${version}"}}\n`);
      expect((await ask('2025-03-26')).output).toContain('"protocolVersion":"2025-03-26"');
      expect((await ask('something longer')).output).toContain('"protocolVersion":"2025-11-25"');
    });
  });
}
