// Loaded into a command by NODE_OPTIONS: tells on stderr, when it ends, how much memory it had at most (kilobytes).

const { writeSync } = require('node:fs')

process.on('exit', () => {
  writeSync(2, `peak ${process.resourceUsage().maxRSS}\n`)
})
