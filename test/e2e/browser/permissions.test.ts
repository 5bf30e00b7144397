import { expect, it, setDefaultTimeout } from 'bun:test';
import { TOOLSETS } from '../../../app/tools/toolsets.ts';
import { chromium, describeWith } from '../../support/requirements.ts';
import { TEST_PATIENCE_MS } from './support/engine.ts';
import { useStage } from './support/stage.ts';
import type { Visitor } from './support/visitor.ts';

setDefaultTimeout(TEST_PATIENCE_MS);

const WIDTHS = { phone: { width: 390, height: 844 }, desktop: { width: 1280, height: 800 } };
const WRITE = 'forgejo:read forgejo:write';

describeWith(chromium, 'the choices of the consent page in a real browser without script', () => {
  const stage = useStage({ config: { defaultScope: 'forgejo:write' } });

  const boxes = (person: Visitor, name: string) =>
    person.page
      .locator(`input[name=${name}]:checked`)
      .evaluateAll((inputs: HTMLInputElement[]) => inputs.map(({ value }) => value));

  const unfold = (person: Visitor) => person.page.getByText('Only some tools').click();

  async function untick(person: Visitor, keep: readonly string[]): Promise<void> {
    for (const name of TOOLSETS.filter((each) => !keep.includes(each))) {
      await person.page.locator(`input[name=toolset][value=${name}]`).uncheck();
    }
  }

  /** From the press of the button to the client's tokens. */
  async function finish(person: Visitor, connecting: Awaited<ReturnType<typeof stage.connecting>>) {
    await person.press('Allow');
    await person.signIn();
    await person.grant();
    await person.sees(`Connect as ${person.login}?`);
    const told = (await person.page.locator('main').textContent()) ?? '';
    await person.confirm();
    const { url } = await person.arrives(connecting.landing);
    await connecting.client.finishAuthorization(url);
    return { told, scope: connecting.client.memory.current?.scope };
  }

  for (const [name, viewport] of Object.entries(WIDTHS)) {
    it(`proposes reading and writing, everywhere, and takes it as it is (${name})`, async () => {
      const person = await stage.visitor({ viewport, javaScriptEnabled: false });
      const connecting = await stage.connecting();
      await person.open(connecting.authorizationUrl);
      await person.sees(/^Allow access to/);
      expect(await boxes(person, 'scope')).toEqual(['forgejo:write']);
      expect(await boxes(person, 'toolset')).toEqual([...TOOLSETS]);
      expect(await person.page.locator('textarea').isVisible()).toBe(false);
      const { told, scope } = await finish(person, connecting);
      expect(told).toContain('Read and write');
      expect(told).not.toContain('Only');
      expect(scope).toBe(WRITE);
      expect(person.complaints.all).toEqual([]);
    });

    it(`takes reading only, some tools and some places, and holds them (${name})`, async () => {
      const person = await stage.visitor({ viewport, javaScriptEnabled: false });
      const connecting = await stage.connecting();
      await person.open(connecting.authorizationUrl);
      await person.page.getByText('Read only').click();
      await unfold(person);
      await untick(person, ['issues']);
      await person.page.getByLabel('Only in these repositories').fill(`${person.login}/Garden`);
      const { told, scope } = await finish(person, connecting);
      expect(told).toContain('Read only');
      expect(told).toContain('Only these kinds of tools: Issues.');
      expect(told).toContain(`${person.login}/garden`);
      expect(scope).toBe('forgejo:read');

      const sdk = await connecting.client.connect();
      const names = (await sdk.listTools()).tools.map((tool) => tool.name);
      expect(names).toContain('list_repo_issues');
      expect(names).not.toContain('create_issue');
      expect(names).not.toContain('list_my_repos');
      const of = (repo: string) => ({ owner: person.login, repo });
      const garden = { name: 'list_repo_issues', arguments: of('garden') };
      expect((await sdk.callTool(garden)).isError ?? false).toBe(false);
      const diary = sdk.callTool({ name: 'list_repo_issues', arguments: of('diary') });
      expect(String(await diary.catch((error: unknown) => error))).toContain('may not touch');
      await connecting.client.close();
      expect(person.complaints.all).toEqual([]);
    });

    it(`shows what is wrong, with what was chosen, until it is right (${name})`, async () => {
      const person = await stage.visitor({ viewport, javaScriptEnabled: false });
      const connecting = await stage.connecting();
      await person.open(connecting.authorizationUrl);
      await person.page.getByText('Everything').click();
      await unfold(person);
      const places = person.page.getByLabel('Only in these repositories');
      await places.fill('a/b/c');
      await untick(person, ['wiki', 'issues']);
      await person.press('Allow');
      await person.page.getByRole('alert').getByText('more than one slash').waitFor();
      // Nothing has to be unfolded or chosen a second time.
      expect(await places.inputValue()).toBe('a/b/c');
      expect(await boxes(person, 'scope')).toEqual(['forgejo:delete']);
      expect(await boxes(person, 'toolset')).toEqual(['issues', 'wiki']);
      const { width } = await person.page.evaluate(() => ({
        width: document.documentElement.scrollWidth,
      }));
      expect(width).toBe(viewport.width);
      await places.fill('');
      const { told, scope } = await finish(person, connecting);
      expect(told).toContain('Everything');
      expect(told).toContain('Only these kinds of tools: Issues, Wiki pages.');
      expect(scope).toBe(`${WRITE} forgejo:delete`);
    });
  }

  it('S12: offers nothing above the ceiling of the administrator', async () => {
    const config = { maxScope: 'forgejo:read', defaultScope: 'forgejo:write' } as const;
    const system = await stage.ownSystem({ config });
    const person = await stage.visitor({ system, javaScriptEnabled: false });
    const connecting = await stage.connecting({ system });
    await person.open(connecting.authorizationUrl);
    await person.sees(/^Allow access to/);
    expect(await person.page.locator('input[name=scope]').count()).toBe(1);
    await person.page.getByText('does not allow more').waitFor();
    expect((await finish(person, connecting)).scope).toBe('forgejo:read');
  });
});
