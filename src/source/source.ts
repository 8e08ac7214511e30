// Everything through which a follower touches the world: the files, the pins, the kernel's locks, file events, checkpoints of ours.
// One value of this interface is the real world; the simulator brings another.

import { type CheckpointResult, passiveCheckpoint } from './checkpointer.js'
import { DatabaseFiles, type ObservedFiles, type Refusal } from './files.js'
import { weHoldDeadManSwitch } from './locks.js'
import { type HeldPins, Pins } from './pins.js'
import { type WatchFiles, watchFiles } from './wakeup.js'

export interface Source {
  /** See DatabaseFiles.open. */
  open(path: string): ObservedFiles | Refusal
  pins(path: string): HeldPins
  /** See locks. */
  holdsDeadManSwitch(shmInode: bigint): boolean
  readonly watch: WatchFiles
  passiveCheckpoint(path: string): Promise<CheckpointResult>
}

export const systemSource: Source = {
  open: (path) => DatabaseFiles.open(path),
  pins: (path) => new Pins(path),
  holdsDeadManSwitch: weHoldDeadManSwitch,
  watch: watchFiles,
  passiveCheckpoint,
}
