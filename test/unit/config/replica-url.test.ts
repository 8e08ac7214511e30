import { describe, expect, test } from 'vitest'
import { parseReplicaUrl } from '../../../src/config/replica-url.js'

const parsed = (text: string) => {
  const result = parseReplicaUrl(text)
  if ('problem' in result) return result.problem
  const { scheme, host, path } = result.url
  return [scheme, host, path]
}

describe('parseReplicaUrl, as the original reads them', () => {
  test.each([
    ['file:///a/b', ['file', '', '/a/b']],
    ['file:///a/../b//c/', ['file', '', '/b/c']],
    ['file://rel/p', ['file', '', '/rel/p']],
    ['file://./foo', ['file', '', '/foo']],
    ['file://~/foo', ['file', '', '/~/foo']],
    ['file:foo', ['file', '', 'foo']],
    ['file:///x y', ['file', '', '/x%20y']],
    ['file:///x%20y', ['file', '', '/x%20y']],
    ['file:///x%41', ['file', '', '/x%41']],
    ['file:///é', ['file', '', '/%C3%A9']],
    ['file:///a?q#f', ['file', '', '/a?q#f']],
    ['s3://bkt', ['s3', 'bkt', '']],
    ['s3://bkt/', ['s3', 'bkt', '']],
    ['S3://bkt/a%20b/../c/', ['s3', 'bkt', 'c']],
    ['s3://bkt/a%20b', ['s3', 'bkt', 'a b']],
    ['s3://bkt.localhost:9000/p', ['s3', 'bkt.localhost:9000', 'p']],
    ['s3://k:s@bkt/p', ['s3', 'bkt', 'p']],
    ['foo', 'replica url scheme required: foo'],
    ['-exec', 'replica url scheme required: -exec'],
    ['s3://bad host/x', 'parse "s3://bad host/x": invalid character " " in host name'],
    ['s3://k:s@bad host/x', 'parse "s3://bad host/x": invalid character " " in host name'],
    ['s3://b:x/y', 'parse "s3://b:x/y": invalid port ":x" after host'],
    ['s3://b/%zz', 'parse "s3://b/%zz": invalid URL escape "%zz"'],
    ['s3://b/\n', 'parse "s3://b/\\n": net/url: invalid control character in URL'],
  ])('%j', (text, expected) => {
    expect(parsed(text)).toEqual(expected)
  })
})
