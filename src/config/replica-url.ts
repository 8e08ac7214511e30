// Replica URLs, by the rules of the original (which are Go's net/url plus its own cleaning):
//
//   file:///abs/dir          a directory; the text stays percent-encoded, query and fragment belong to the name
//   s3://bucket/prefix       bucket and decoded, cleaned prefix; known hosts carry more (see replica/s3-endpoint)
//
// Credentials in a URL never get into a message.

import { posix } from 'node:path'

export interface ReplicaUrl {
  /** Lower case. */
  readonly scheme: string
  /** With the port; empty for `file`. */
  readonly host: string
  /** For `file` a path of the file system; else without a slash at either end. */
  readonly path: string
  /** What the original ignores without a word. */
  readonly hasCredentials: boolean
  readonly hasQuery: boolean
}

export type ParsedReplicaUrl = { readonly url: ReplicaUrl } | { readonly problem: string }

export function parseReplicaUrl(text: string): ParsedReplicaUrl {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(text)) return failed(text, 'net/url: invalid control character in URL')
  const match = /^([A-Za-z][A-Za-z0-9+.-]*):(.*)$/.exec(text)
  if (!match) {
    if (text.startsWith(':')) return failed(text, 'missing protocol scheme')
    return { problem: `replica url scheme required: ${withoutCredentials(text)}` }
  }
  const scheme = (match[1] as string).toLowerCase()
  const rest = match[2] as string
  const tailStart = rest.search(/[?#]/)
  const tail = tailStart < 0 ? '' : rest.slice(tailStart)
  const body = tailStart < 0 ? rest : rest.slice(0, tailStart)

  const hasAuthority = body.startsWith('//')
  const slash = hasAuthority ? body.indexOf('/', 2) : 0
  const authority = hasAuthority ? body.slice(2, slash < 0 ? undefined : slash) : ''
  const rawPath = hasAuthority ? (slash < 0 ? '' : body.slice(slash)) : body
  const at = authority.lastIndexOf('@')
  const host = authority.slice(at + 1)

  const problem = hostProblem(host) ?? escapeProblem(rawPath)
  if (problem) return failed(text, problem)
  if (scheme === 'file') {
    const path = posix.normalize(`${hasAuthority ? `/${authority}` : ''}${encodeLikeGo(rawPath)}${tail}`)
    return { url: { scheme, host: '', path: withoutEndSlash(path), hasCredentials: false, hasQuery: false } }
  }
  const path = rawPath === '' ? '' : posix.normalize(decodeURIComponent(rawPath)).replace(/^\/+|\/+$/g, '')
  return { url: { scheme, host, path: path === '.' ? '' : path, hasCredentials: at >= 0, hasQuery: tail !== '' } }
}

const withoutEndSlash = (path: string): string => (path.length > 1 ? path.replace(/\/$/, '') : path)

function failed(text: string, problem: string): { problem: string } {
  return { problem: `parse ${JSON.stringify(withoutCredentials(text))}: ${problem}` }
}

function withoutCredentials(text: string): string {
  return text.replace(/^([^/]*\/\/)[^/?#]*@/, '$1')
}

function hostProblem(host: string): string | undefined {
  const bad = /[^A-Za-z0-9\-_.~!$&'()*+,;=:[\]<>"%\u0080-\uffff]/.exec(host)
  if (bad) return `invalid character ${JSON.stringify(bad[0])} in host name`
  const port = /:([^\]]*)$/.exec(host)
  return port && !/^\d*$/.test(port[1] as string) ? `invalid port ${JSON.stringify(port[0])} after host` : undefined
}

function escapeProblem(path: string): string | undefined {
  const bad = /%(?![0-9a-fA-F]{2}).{0,2}/.exec(path)
  if (bad) return `invalid URL escape ${JSON.stringify(bad[0])}`
  try {
    decodeURIComponent(path)
    return undefined
  } catch {
    return 'the path is not UTF-8'
  }
}

/** The path as Go's URL.String prints it: unchanged when it is validly encoded, else encoded anew. */
function encodeLikeGo(path: string): string {
  if (/^(?:[A-Za-z0-9\-_.~!$&'()*+,;=:@/[\]]|%[0-9a-fA-F]{2})*$/.test(path)) return path
  return encodeURIComponent(decodeURIComponent(path))
    .replace(/%(24|26|2B|2C|2F|3A|3B|3D|40)/g, (code) => decodeURIComponent(code))
    .replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
}
