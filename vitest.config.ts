import { defineConfig } from 'vitest/config'

const report = process.env.LITESTREAM_TEST_REPORT

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    setupFiles: ['test/support/keep-sqlite.cjs'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // The suites start real servers and real daemons; two cores serve two files at a time.
    maxWorkers: 2,
    // .ci/run counts what ran in the report, so that it can call the very command that everybody calls.
    reporters: report ? ['default', ['json', { outputFile: report }]] : ['default'],
  },
})
