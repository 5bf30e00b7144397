import { describe, expect, it } from 'bun:test';
import { html } from '../../app/pages/html.ts';

describe('the markup template', () => {
  it('escapes every value, in text and in attributes', () => {
    const evil = `</p><script>alert('1')</script>" onload="x" &amp;`;
    const { text } = html`<p title="${evil}">${evil}</p>`;
    expect(text).not.toContain('<script');
    expect(text).not.toContain('" onload');
    expect(text).toContain('&lt;script&gt;alert(&#x27;1&#x27;)&lt;/script&gt;&quot; onload');
    expect(text).toContain('&amp;amp;');
  });

  it('takes markup as markup, lists of it too, and null as nothing', () => {
    const parts = ['a', '<b>'].map((part) => html`<i>${part}</i>`);
    expect(html`<p>${html`<b>${1}</b>`}${parts}${null}</p>`.text).toBe(
      '<p><b>1</b><i>a</i><i>&lt;b&gt;</i></p>',
    );
  });

  it('escapes what only looks like markup', () => {
    const fake = { text: '<b>' };
    expect(html`${String(fake.text)}`.text).toBe('&lt;b&gt;');
  });
});
