// How long the fuzzing goes on and with which choices.
//
//   FUZZ_FACTOR=50 npx vitest run test/fuzz     fifty times as many tries of everything
//   FUZZ_SEED=<n>                               the same choices again

const factor = Number(process.env.FUZZ_FACTOR ?? 1)
const seed = Number(process.env.FUZZ_SEED ?? Date.now() % 2 ** 31)

process.stderr.write(`fuzz: FUZZ_SEED=${seed}\n`)

export const FUZZ = {
  seed,
  /** Tries of one property. */
  runs: (usual: number): number => Math.max(1, Math.round(usual * factor)),
}
