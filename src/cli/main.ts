#!/usr/bin/env node
// The command `litestream`: binds a command to the process. Owns the process's signals, its environment and its exit status;
// what stops late is given time, because the exit status is set and nothing is cut off.
//
// The first SIGINT or SIGTERM asks the command to stop. Later ones are ignored, since a supervisor may well send both; only a
// second SIGINT, from a person at a terminal, ends the process at once.

import { LitestreamError } from '../errors.js'
import { dispatch } from './dispatch.js'
import { type CommandIo, EXIT_FAILURE, type StopReason, type TextOutput } from './io.js'

const stop = new AbortController()

function requestStop(message: string, signalName?: NodeJS.Signals): void {
  const reason: StopReason = Object.assign(new LitestreamError('ABORTED', message), { signalName })
  if (!stop.signal.aborted) stop.abort(reason)
}

let interrupts = 0
process.on('SIGINT', () => {
  if (++interrupts > 1) process.exit(128 + 2)
  requestStop('interrupted (SIGINT)', 'SIGINT')
})
process.on('SIGTERM', () => requestStop('asked to stop (SIGTERM)', 'SIGTERM'))

function outputOf(stream: NodeJS.WriteStream): TextOutput {
  return {
    write: (text) => void stream.write(text),
    get isTTY() {
      return stream.isTTY === true
    },
    get columns() {
      return stream.columns
    },
  }
}

/** The original takes these in place of AWS's own, where those are absent (one that is empty is not absent). */
function copyCredentials(env: NodeJS.ProcessEnv): void {
  for (const name of ['ACCESS_KEY_ID', 'SECRET_ACCESS_KEY']) {
    const value = env[`LITESTREAM_${name}`]
    if (value !== undefined) env[`AWS_${name}`] ??= value
  }
}

// A reader that went away (`litestream wal … | head`) is no reason for a stack trace.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  requestStop('the output cannot be written any more')
  if (error.code === 'EPIPE') return
  process.stderr.write(`litestream: cannot write the output: ${error.message}\n`)
  process.exitCode = EXIT_FAILURE
})
process.stderr.on('error', () => undefined)

copyCredentials(process.env)
const io: CommandIo = {
  stdout: outputOf(process.stdout),
  stderr: outputOf(process.stderr),
  env: process.env,
  cwd: process.cwd(),
  signal: stop.signal,
}
process.exitCode = await dispatch(process.argv.slice(2), io)
