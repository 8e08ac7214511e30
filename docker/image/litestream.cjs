#!/usr/local/bin/node
// /opt/litestream/bin/litestream: the command for whoever takes /opt/litestream and Node out of the image into another one, such as
// a Rails application's (docs/rails.md). It needs no Node on PATH, and `ps` shows `litestream replicate`, which the litestream gem
// looks for.
import('/opt/litestream/dist/cli/main.js')
