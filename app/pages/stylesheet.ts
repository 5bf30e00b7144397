/**
 * Double-click jacking: a window over ours closes itself between the two clicks that it asks for, and
 * the second one hits what waited under it. So the buttons of a decision lie under a cover until the
 * pointer has been over the page for longer than a double click takes. A page that is out of sight is
 * under no pointer, however long ago it was loaded. Keys are not held up, nor are fingers: what is
 * touched was under no pointer before.
 */
const COVER = `
form .choices { position: relative; }
@media (hover: hover) and (pointer: fine) {
  form .choices::after { content: ""; position: absolute; inset: 0; cursor: progress; }
  html:hover form .choices::after { visibility: hidden; transition: visibility 0s 0.7s; }
}
`;

/** The one stylesheet. It stands in the page itself, allowed by its digest, so no page loads anything. */
export const STYLESHEET = `
:root {
  color-scheme: light dark;
  --ground: #eef1f0;
  --card: #ffffff;
  --ink: #17211e;
  --soft: #4c5a55;
  --line: #d5dcd9;
  --panel: #f5f7f6;
  --accent: #0b6b4f;
  --accent-deep: #085540;
  --on-accent: #ffffff;
  --warn-line: #c77700;
  --warn-panel: #fff6e5;
  --shadow: 0 1px 2px rgb(23 33 30 / 8%), 0 12px 32px rgb(23 33 30 / 10%);
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #101614;
    --card: #18211e;
    --ink: #e9efec;
    --soft: #a9b7b1;
    --line: #33403b;
    --panel: #1f2a26;
    --accent: #55d3a6;
    --accent-deep: #7be0bc;
    --on-accent: #06251b;
    --warn-line: #e6a23c;
    --warn-panel: #2b2416;
    --shadow: 0 1px 2px rgb(0 0 0 / 40%), 0 12px 32px rgb(0 0 0 / 35%);
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0;
  min-height: 100vh;
  min-height: 100dvh;
  padding: 24px 16px;
  display: flex;
  flex-direction: column;
  align-items: center;
  justify-content: center;
  background: var(--ground);
  color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  overflow-wrap: anywhere;
}
main {
  width: 100%;
  max-width: 34rem;
  padding: 32px;
  background: var(--card);
  border: 1px solid var(--line);
  border-radius: 14px;
  box-shadow: var(--shadow);
}
.mark { display: block; width: 40px; height: 40px; margin: 0 0 16px; color: var(--accent); }
h1 { margin: 0 0 12px; font-size: 1.5rem; line-height: 1.25; letter-spacing: -0.01em; }
h2 { margin: 0 0 2px; font-size: 0.875rem; font-weight: 600; color: var(--soft); }
p { margin: 0 0 12px; }
section { margin: 12px 0; padding: 14px 16px; background: var(--panel); border: 1px solid var(--line); border-radius: 10px; }
section p:last-child, main > :last-child { margin-bottom: 0; }
section.warning { background: var(--warn-panel); border-color: var(--warn-line); }
.place { font-size: 1.25rem; font-weight: 650; line-height: 1.35; }
.soft { color: var(--soft); font-size: 0.9375rem; }
a { color: var(--accent); text-underline-offset: 2px; }
a:hover { color: var(--accent-deep); }
.note { margin: 20px 0 0; }
fieldset { margin: 12px 0; padding: 0; border: 0; }
legend { padding: 0; margin: 0 0 4px; font-size: 0.875rem; font-weight: 600; color: var(--soft); }
.option { display: flex; gap: 12px; align-items: flex-start; min-height: 44px; padding: 10px 12px; margin: 0 0 8px; border: 1px solid var(--line); border-radius: 10px; cursor: pointer; }
.option .soft { display: block; }
.option .soft::first-letter { text-transform: uppercase; }
.boxes .option { margin: 0; padding: 8px 0; border: 0; border-radius: 6px; background: none; }
.boxes .option:has(:checked) { background: none; }
.option:hover { border-color: var(--soft); }
.option:has(:checked) { background: var(--panel); border-color: var(--accent); }
.option.grave:has(:checked) { background: var(--warn-panel); border-color: var(--warn-line); }
.option:has(:focus-visible) { outline: 3px solid var(--accent); outline-offset: 2px; }
.option input { flex: none; width: 20px; height: 20px; margin: 2px 0 0; accent-color: var(--accent); }
.option input:focus-visible { outline: none; }
details { margin: 12px 0; padding: 4px 16px; border: 1px solid var(--line); border-radius: 10px; }
summary { padding: 10px 0; min-height: 44px; font-weight: 600; cursor: pointer; }
.field { margin: 12px 0 4px; font-size: 0.875rem; font-weight: 600; color: var(--soft); }
textarea { display: block; width: 100%; padding: 10px 12px; margin: 0 0 8px; border: 1px solid var(--soft); border-radius: 10px; background: var(--card); color: var(--ink); font: 0.9375rem/1.5 ui-monospace, Menlo, Consolas, monospace; resize: vertical; }
code { font: 0.9375em ui-monospace, Menlo, Consolas, monospace; }
ul { margin: 0 0 12px; padding: 0 0 0 20px; }
.fault { padding: 12px 16px; background: var(--warn-panel); border: 2px solid var(--warn-line); border-radius: 10px; font-weight: 600; }
.choices { display: flex; flex-wrap: wrap; gap: 12px; margin: 20px 0 0; }
button, .button {
  flex: 1 1 10rem;
  min-height: 48px;
  padding: 10px 20px;
  border: 1px solid var(--accent);
  border-radius: 10px;
  background: var(--accent);
  color: var(--on-accent);
  font: inherit;
  font-weight: 650;
  text-align: center;
  text-decoration: none;
  cursor: pointer;
}
button:hover, .button:hover { background: var(--accent-deep); border-color: var(--accent-deep); color: var(--on-accent); }
button.second { background: transparent; border-color: var(--soft); color: var(--ink); }
button.second:hover { background: var(--panel); border-color: var(--ink); color: var(--ink); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px; }
footer { width: 100%; max-width: 34rem; padding: 14px 4px 0; color: var(--soft); font-size: 0.875rem; }
@media (min-width: 30rem) {
  .boxes > div { display: grid; grid-template-columns: 1fr 1fr; column-gap: 16px; }
}
@media (max-width: 30rem) {
  body { padding: 0; justify-content: flex-start; background: var(--card); }
  main { padding: 24px 20px; border: 0; border-radius: 0; box-shadow: none; }
  footer { padding: 0 20px 24px; }
  .choices { flex-direction: column; }
  button, .button { flex: none; width: 100%; }
}
@media (forced-colors: active) {
  button, .button, section { border: 2px solid; }
}
${COVER}`;

/** How the content security policy names the stylesheet (CSP 3 section 6.7.3.3). */
export const STYLESHEET_SOURCE = `'sha256-${new Bun.CryptoHasher('sha256').update(STYLESHEET).digest('base64')}'`;
