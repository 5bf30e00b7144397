import type { Connection } from './connection.ts';

/**
 * A look-up that remembers what it found until the store is next written to, whatever is written:
 * so nothing that it gives can be older than the last change (`Connection.version`). Nothing found is not remembered, or
 * whoever asks for what is not there would fill it. At `entriesMax` it begins anew.
 */
export function untilWritten<Key, Value>(
  connection: Pick<Connection, 'version'>,
  entriesMax: number,
  lookUp: (key: Key) => Value | undefined,
): (key: Key) => Value | undefined {
  const remembered = new Map<Key, Value>();
  let version: number | undefined;
  return (key) => {
    const now = connection.version;
    if (version !== now) remembered.clear();
    version = now;
    const known = remembered.get(key);
    if (known !== undefined) return known;
    const found = lookUp(key);
    if (found === undefined) return undefined;
    if (remembered.size >= entriesMax) remembered.clear();
    remembered.set(key, found);
    return found;
  };
}
