/** A file imported with `{ type: 'text' }`; the compiler knows the ending, not the attribute. */
declare module '*.sql' {
  const text: string;
  export = text;
}
