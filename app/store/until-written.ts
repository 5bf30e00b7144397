import type { Connection } from './connection.ts';

/**
 * A look-up that remembers what it found until the store is next written to, whatever is written:
 * so nothing that it gives can be older than the last change. Nothing found is not remembered, or
 * whoever asks for what is not there would fill it. At `entriesMax` it begins anew.
 */
export function untilWritten<Key, Value>(
  connection: Pick<Connection, 'writes'>,
  entriesMax: number,
  lookUp: (key: Key) => Value | undefined,
): (key: Key) => Value | undefined {
  const remembered = new Map<Key, Value>();
  let writes = connection.writes;
  return (key) => {
    if (writes !== connection.writes) {
      remembered.clear();
      ({ writes } = connection);
    }
    const known = remembered.get(key);
    if (known !== undefined) return known;
    const found = lookUp(key);
    if (found === undefined) return undefined;
    if (remembered.size >= entriesMax) remembered.clear();
    remembered.set(key, found);
    return found;
  };
}
