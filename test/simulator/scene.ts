// One modelled database under an observer, for short stories of what the simulator found.

import { Disk } from './disk.js'
import { Ledger } from './ledger.js'
import { Observer } from './observer.js'
import { Scheduler } from './scheduler.js'
import { Sqlite } from './sqlite.js'

/** Four pages, closed; nobody watches yet. */
export function makeScene() {
  const scheduler = new Scheduler(1)
  const disk = new Disk(scheduler, 1)
  const ledger = new Ledger(scheduler)
  const sqlite = new Sqlite(disk, ledger, scheduler, scheduler.random(1))
  ledger.placed(disk, 4)
  const process = { name: 'observer', alive: true }
  const world = { scheduler, disk, sqlite, random: scheduler.random(2), shmWritable: true, preempt: () => {} }
  return { scheduler, sqlite, process, observer: new Observer(world, process) }
}
