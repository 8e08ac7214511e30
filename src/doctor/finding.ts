// What `litestream doctor` finds: one line each, grouped by what it is about.

export type Level = 'ok' | 'warning' | 'error'

export interface Finding {
  readonly level: Level
  /** A word or two that stay the same from version to version: `wal-mode`, `bucket-put`. */
  readonly check: string
  readonly message: string
  /** What to do next; for a warning or an error. */
  readonly next?: string | undefined
}

export interface Section {
  readonly title: string
  readonly findings: readonly Finding[]
}

export class Findings {
  readonly list: Finding[] = []

  ok(check: string, message: string): void {
    this.list.push({ level: 'ok', check, message })
  }

  warn(check: string, message: string, next: string): void {
    this.list.push({ level: 'warning', check, message, next })
  }

  error(check: string, message: string, next: string): void {
    this.list.push({ level: 'error', check, message, next })
  }
}

/** Sizes for people. */
export function bytesText(bytes: number): string {
  return bytes < 2 ** 20 ? `${Math.ceil(bytes / 1024)} KiB` : `${Math.round(bytes / 2 ** 20)} MiB`
}
