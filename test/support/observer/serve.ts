// The child's side of child.ts: answers calls one after the other, and ends when the parent is gone.

export type Handlers = Readonly<Record<string, (argument: never) => unknown>>

/** A handler named `now...` is called at once; the others wait for the calls before them. */
export function serve(handlers: Handlers): void {
  let last: Promise<unknown> = Promise.resolve()
  process.on('message', (message: { id: number; method: string; argument?: unknown }) => {
    const { id, method, argument } = message
    const work = async () => {
      try {
        const handler = handlers[method] as ((argument: unknown) => unknown) | undefined
        if (!handler) throw new Error(`no such call: ${method}`)
        process.send?.({ id, result: await handler(argument) })
      } catch (error) {
        process.send?.({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
      }
    }
    if (method.startsWith('now')) void work()
    else last = last.then(work)
  })
  process.on('disconnect', () => process.exit(0))
}
