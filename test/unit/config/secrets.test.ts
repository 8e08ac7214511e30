import { expect, test } from 'vitest'
import { secretsIn } from '../../../src/config/secrets.js'
import { formatTextLine, redact } from '../../../src/log-format.js'

test('keys, tokens and the passwords of proxies are secrets, also under the names of the original', () => {
  const env = {
    AWS_SECRET_ACCESS_KEY: 'secret-1',
    LITESTREAM_SECRET_ACCESS_KEY: 'secret-2',
    AWS_SESSION_TOKEN: 'secret-3',
    HTTPS_PROXY: 'http://user:secret-4@proxy:3128',
    http_proxy: 'http://proxy:3128',
    AWS_ACCESS_KEY_ID: 'an-id',
    AWS_SECRET_KEY: '',
  }
  const secrets = secretsIn(env)
  expect(secrets.sort()).toEqual(['secret-1', 'secret-2', 'secret-3', 'secret-4'])
  const line = formatTextLine(new Date(0), 'ERROR', 'connecting', { error: new Error(`by ${JSON.stringify(env)}`) })
  expect(redact(line, secrets)).not.toMatch(/secret-\d/)
  expect(redact(line, secrets)).toContain('an-id')
})

test('nothing in the environment: no secrets', () => {
  expect(secretsIn({})).toEqual([])
})
