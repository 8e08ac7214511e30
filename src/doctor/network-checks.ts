// The way to a store, one step at a time, so that the step that fails has a name: DNS, TCP, TLS.

import { lookup } from 'node:dns/promises'
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { messageOf } from '../errors.js'
import { canUseProxies, proxyNote, proxyVariable } from '../replica/proxies.js'
import { type S3Place, serverOf } from '../replica/s3-endpoint.js'
import type { Findings } from './finding.js'

const PATIENCE_MS = 10_000

export interface NetworkOptions {
  readonly skipVerify: boolean
  readonly ca?: string | undefined
  readonly env: Readonly<Record<string, string | undefined>>
}

/** True when a request can be tried. */
export async function checkNetwork(place: S3Place, options: NetworkOptions, found: Findings): Promise<boolean> {
  const url = serverOf(place)
  const isTls = url.protocol === 'https:'
  const proxy = proxyVariable(url, options.env)
  if (proxy !== undefined && canUseProxies(process.versions.node)) {
    found.ok('network', `through the proxy that ${proxy} names`)
    return true
  }
  const note = proxyNote(url, options.env, process.versions.node)
  if (note !== undefined) found.warn('network', note, 'run it with a newer Node, or let the store be reached directly')
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const port = Number(url.port || (isTls ? 443 : 80))
  let address: string
  try {
    address = (await lookup(host)).address
    found.ok('dns', `${host} is ${address}`)
  } catch (error) {
    const next = 'check the spelling of "endpoint" (and "region"), and the DNS of this machine or container'
    found.error('dns', `the host name ${host} is not known: ${messageOf(error)}`, next)
    return false
  }
  try {
    await established(connectTcp({ host: address, port }), 'connect')
    found.ok('tcp', `connected to ${address} port ${port}`)
  } catch (error) {
    const next = 'check the port of "endpoint", that the store is running, and firewalls in between'
    found.error('tcp', `no connection to ${host} port ${port}: ${messageOf(error)}`, next)
    return false
  }
  if (!isTls && /^127\.|^::1$/.test(address)) return true
  if (!isTls) {
    found.warn(
      'tls',
      'none: everything goes over the network unencrypted',
      'write https:// in "endpoint" if the store has it',
    )
    return true
  }
  return checkTls(host, address, port, options, found)
}

async function checkTls(host: string, address: string, port: number, options: NetworkOptions, found: Findings) {
  const { skipVerify, ca } = options
  try {
    const servername = /^[\d.]+$|:/.test(host) ? '' : host
    const socket = connectTls({ host: address, port, servername, rejectUnauthorized: !skipVerify, ...(ca && { ca }) })
    await established(socket, 'secureConnect')
    if (skipVerify)
      found.warn(
        'tls',
        'the certificate is not checked',
        'remove skip-verify; AWS_CA_BUNDLE names an authority of your own',
      )
    else found.ok('tls', 'the certificate is good')
    return true
  } catch (error) {
    const next = 'for an authority of your own set AWS_CA_BUNDLE; for a store without TLS write http:// in "endpoint"'
    found.error('tls', `${host} port ${port}: ${messageOf(error)}`, next)
    return false
  }
}

async function established(socket: Socket | TLSSocket, event: string): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once(event, () => resolve())
      socket.once('error', reject)
      socket.setTimeout(PATIENCE_MS, () => reject(new Error(`no answer within ${PATIENCE_MS / 1000} s`)))
    })
  } finally {
    socket.destroy()
  }
}
