// A database that an application has open: the descriptors, the pin, and what both say together. Lets go in the right order
// (connections first, descriptors last); decides nothing.

import type { PinPlace } from '../plan/let-go-plan.js'
import { sameCycle, type WalIndexHeader } from '../sqlite/wal-index.js'
import type { ObservedFiles } from './files.js'
import type { HeldPins } from './pins.js'
import type { Source } from './source.js'

/** SQLite answers a refusal at once; so many tries take some milliseconds, the life of the locks that get in the way. */
const PIN_TRIES = 200

export class LiveDatabase {
  private readonly pins: HeldPins
  private place: PinPlace = 'none'
  /** Frames in the WAL when the pin was taken; while it is on a read mark they say where. */
  markFrames = 0

  constructor(
    readonly files: ObservedFiles,
    private readonly source: Pick<Source, 'pins' | 'holdsDeadManSwitch'>,
  ) {
    this.pins = source.pins(files.path)
  }

  get pin(): PinPlace {
    return this.place
  }

  get lastRefusal(): string {
    return this.pins.lastRefusal
  }

  /** Nobody can have run recovery since this was first true, as long as our connections stay open. */
  attached(): boolean {
    return this.source.holdsDeadManSwitch(this.files.shmInode)
  }

  /** Take a pin, or (leapfrog) a newer one before the old one goes. False when SQLite refuses for longer than a moment. */
  takePin(leapfrog = false): boolean {
    for (let attempt = 0; attempt < PIN_TRIES; attempt++) {
      // Whoever closes last refuses everybody until he has taken the WAL away. SQLite, opened after that, would make a new one.
      if (attempt > 0 && this.files.replaced() !== undefined) return false
      const before = this.files.walIndex()
      if (!(leapfrog ? this.pins.leapfrog() : this.pins.pin())) continue
      const after = this.files.walIndex()
      this.place = placeOf(this.place, before, after)
      this.markFrames = after?.mxFrame ?? 0
      return true
    }
    return false
  }

  releasePin(): void {
    this.pins.release()
    this.place = 'none'
  }

  /** Closes the connections, then `-wal` and `-shm`; the database file stays open with its owner. */
  close(): void {
    this.place = 'none'
    this.pins.close()
    this.files.closeLive()
  }
}

/** Where a pin landed, told from the header before and after it was taken; the careful answer when that is not certain. */
function placeOf(old: PinPlace, before: WalIndexHeader | undefined, after: WalIndexHeader | undefined): PinPlace {
  const complete = (header: WalIndexHeader | undefined) => header !== undefined && header.backfilled === header.mxFrame
  if (!before || !after || !complete(before) || !complete(after)) return 'read-mark'
  if (!sameCycle(before, after) || before.mxFrame !== after.mxFrame) return 'read-mark'
  return old === 'database-unconfirmed' || old === 'database' ? 'database' : 'database-unconfirmed'
}
