#!/bin/sh
# The image's command `litestream`. As process 1 it puts tini in front of Node: process 1 has to reap whatever orphans end up with it
# (the health check that Docker gave up on, what an `-exec` program left behind), and a signal that arrives before Node has installed
# its handlers has to count. Anywhere else (`docker exec`, `--init`, a shell) it is Node itself.
if [ $$ = 1 ]; then
  exec /usr/bin/tini -- /usr/local/bin/node /opt/litestream/bin/litestream "$@"
fi
exec /usr/local/bin/node /opt/litestream/bin/litestream "$@"
