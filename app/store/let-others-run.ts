/** Between two batches of a long piece of work: requests that wait are answered first. */
export function letOthersRun(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
