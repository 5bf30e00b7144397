/** An architecture as the names of archives spell it. */
export type Architecture = 'x64' | 'arm64';

/** What a release is built for: Linux with glibc, on these processors. */
export const ARCHITECTURES: Readonly<
  Record<Architecture, { readonly target: Bun.Build.CompileTarget; readonly runtime: string }>
> = {
  // Without AVX2 and the like: virtual machines often show an old processor.
  x64: { target: 'bun-linux-x64-baseline', runtime: '@oven/bun-linux-x64-baseline' },
  arm64: { target: 'bun-linux-arm64', runtime: '@oven/bun-linux-aarch64' },
};

export function isArchitecture(name: string): name is Architecture {
  return Object.hasOwn(ARCHITECTURES, name);
}
