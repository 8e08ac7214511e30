import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { loadConfig } from '../../../src/config/load.js'
import { tempDirectory } from '../../support/temp.js'

function load(text: string) {
  const path = join(tempDirectory('config'), 'l.yml')
  writeFileSync(path, text)
  return loadConfig({ path, env: {}, cwd: '/', expandEnv: true })
}

test.for([
  ['socket: {path: /data/l.sock}', 'must not lie beside a database'],
  [`socket: {path: /${'x'.repeat(107)}}`, 'at most 107 bytes'],
  ['socket: {paht: /l.sock}', 'did you mean "path"'],
])('a socket that cannot be: %s', async ([line, message]) => {
  await expect(load(`${line}\ndbs: [{path: /data/a.db}]\n`)).rejects.toThrow(message)
})

test('a bound of nothing is refused', async () => {
  await expect(load('dbs: [{path: /a.db, replicas: [{path: /r, max-behind: 0}]}]')).rejects.toThrow(
    'max-behind must be longer than 0',
  )
})
