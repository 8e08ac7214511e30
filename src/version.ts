// The program's name and version, as objects and logs carry them. A test compares it with package.json.

export const VERSION = '0.1.0'
export const PROGRAM = `litestream-node/${VERSION}`
