/**
 * A second process for the tests of the lock: opens the store at the path of its first argument,
 * prints `open` or the kind of the failure, and holds it until it is killed or its stdin ends.
 */
import { StoreOpenError } from '../../app/store/store-error.ts';
import { open } from './harness.ts';

try {
  const { store } = open({ path: process.argv[2] ?? '' });
  console.log('open');
  for await (const _ of Bun.stdin.stream());
  await store.close();
} catch (error) {
  console.log(error instanceof StoreOpenError ? error.kind : String(error));
}
