// What a daemon can be asked through its control socket.
//
//   hello    {pid, version}: somebody is there
//   report   everything at this moment (replicate/report). With "probe": true each replica is asked whether it is still there, at
//            most once in 30 s, and a little time is left for the answers; one that comes later is in the next report

import type { DaemonReport } from '../replicate/report.js'
import { VERSION } from '../version.js'
import type { ControlHandlers } from './server.js'

/** Most storages answer in less; a health check must not wait for the others. */
const PROBE_MS_MAX = 300

export interface Reporting {
  report(): DaemonReport
  probe(): Promise<void>
}

export function controlHandlers(daemon: Reporting): ControlHandlers {
  return {
    hello: async () => ({ pid: process.pid, version: VERSION }),
    report: async ({ probe }) => (probe === true ? await probedReport(daemon) : daemon.report()),
  }
}

export async function probedReport(daemon: Reporting): Promise<DaemonReport> {
  let timer: NodeJS.Timeout | undefined
  const patience = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, PROBE_MS_MAX)
  })
  await Promise.race([daemon.probe(), patience])
  clearTimeout(timer)
  return daemon.report()
}
