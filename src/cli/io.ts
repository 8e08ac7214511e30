// What a command may touch of the process: its two outputs, environment, directory and the wish to stop. Commands take this
// instead of `process`, so that tests run them in memory; only main.ts binds it to the real process.
//
// Every command module exports `run(args, io): Promise<number>`: `args` are the words after the command's name, the result is
// the exit status (EXIT_OK, EXIT_FAILURE). A command reports a failure by throwing; dispatch.ts prints it on stderr as one line.

import type { LitestreamError } from '../errors.js'

export const EXIT_OK = 0
/** Every failure, every help text and an empty command line, as in the original. */
export const EXIT_FAILURE = 1
/** Of `verify`: it could not be decided. */
export const EXIT_INCONCLUSIVE = 2

export interface TextOutput {
  write(text: string): void
  /** A person is looking: progress may be drawn. */
  readonly isTTY: boolean
  /** Width of the terminal, where there is one. */
  readonly columns?: number | undefined
}

export interface CommandIo {
  readonly stdout: TextOutput
  readonly stderr: TextOutput
  readonly env: Readonly<Record<string, string | undefined>>
  /** Absolute; relative paths of the command line and the configuration start here. */
  readonly cwd: string
  /** Aborts when the process was asked to stop (SIGINT, SIGTERM) or nobody reads its output any more. `reason` is a StopReason. */
  readonly signal: AbortSignal
}

/** Why `io.signal` aborted: an error with code ABORTED. `signalName` is absent when the reader of stdout went away. */
export interface StopReason extends LitestreamError {
  readonly signalName?: NodeJS.Signals | undefined
}

/** What a command module looks like. */
export interface CommandModule {
  run(args: string[], io: CommandIo): Promise<number>
}
