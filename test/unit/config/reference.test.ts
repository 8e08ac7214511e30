// docs/configuration.md cannot drift from the schema: its keys and defaults are the schema's, its examples are read by it.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { loadConfig } from '../../../src/config/load.js'
import { configKeys } from '../../../src/config/schema.js'
import { configReference, configWords } from '../../support/config-reference.js'
import { projectRoot } from '../../support/make-dist.js'
import { tempDirectory } from '../../support/temp.js'

const file = join(projectRoot, 'docs', 'configuration.md')

test('the document is the one that the schema gives (UPDATE_DOCS=1 writes it)', () => {
  if (process.env.UPDATE_DOCS) writeFileSync(file, configReference())
  expect(readFileSync(file, 'utf8')).toBe(configReference())
})

test.each(Object.entries(configKeys))('%s: every key has words, all words have a key', (place, keys) => {
  expect(Object.keys(configWords[place as keyof typeof configKeys])).toEqual([...keys])
})

const cases = Object.entries(configWords).flatMap(([place, words]) =>
  Object.entries(words).map(([key, { example }]) => ({ place, key, example })),
)

test.each(cases)('the example of $place $key is accepted: $example', async ({ place, key, example }) => {
  const given: Record<string, string> = { [key]: example }
  if (key === 'access-key-id') given['secret-access-key'] = 'example'
  if (key === 'secret-access-key') given['access-key-id'] = 'example'
  const s3: Record<string, string> = place === 's3' ? { type: 's3', bucket: 'b', ...given } : { path: '/replica' }
  const replica =
    place !== 'replica'
      ? s3
      : key === 'url'
        ? given
        : key === 'type'
          ? { bucket: 'b', ...given }
          : { path: '/r', ...given }
  const flow = (keys: Record<string, string>): string =>
    `{${Object.entries(keys)
      .map(([name, value]) => `${name}: ${value.replace(/^(?!["{[]).*:.*$/, '"$&"')}`)
      .join(', ')}}`
  const database = { path: '/db', replicas: `[${flow(replica)}]`, ...(place === 'database' ? given : {}) }
  const sections = place === 'logging' || place === 'socket' ? { [place]: flow(given) } : {}
  const root = { dbs: `[${flow(database)}]`, ...sections, ...(place === 'root' ? given : {}) }
  const directory = tempDirectory()
  writeFileSync(join(directory, 'c.yml'), flow(root))
  await expect(loadConfig({ path: 'c.yml', env: {}, cwd: directory, expandEnv: true })).resolves.toBeDefined()
})
