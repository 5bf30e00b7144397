/** Where a listener stands: a port of an address, or a unix socket by its absolute path. */
export type ListenAddress =
  | { readonly kind: 'tcp'; readonly hostname: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/** An address as its setting spells it: `127.0.0.1:8080`, `[::1]:8080`, `unix:/run/x/http.sock`. */
export function shownAddress(address: ListenAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  const { hostname, port } = address;
  return hostname.includes(':') ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}
