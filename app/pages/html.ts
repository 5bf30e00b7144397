/** Markup that is safe to send: its text was written here, its values were escaped. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** What a template takes; strings are text and never markup, null is nothing. */
export type HtmlValue = string | number | Html | readonly Html[] | null;

/**
 * Template tag for markup. Every value that is not markup already is escaped, for text and for
 * quoted attributes alike, so that a client's name can be nothing but text.
 */
export function html(strings: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  let text = strings[0] ?? '';
  values.forEach((value, index) => {
    text += render(value) + (strings[index + 1] ?? '');
  });
  return new Html(text);
}

function render(value: HtmlValue): string {
  if (value === null) return '';
  if (value instanceof Html) return value.text;
  if (typeof value === 'object') return value.map((part) => part.text).join('');
  return Bun.escapeHTML(value);
}
