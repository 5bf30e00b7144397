/** Imported with `{ type: 'file' }`: the path of the file, embedded in a compiled program. */
declare module 'swagger-ui-dist/swagger-ui-bundle.js' {
  const path: string;

  export = path;
}
declare module 'swagger-ui-dist/swagger-ui.css' {
  const path: string;

  export = path;
}
