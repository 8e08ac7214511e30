/* Preloaded into an application: kills it inside the KILL_AT-th sync of a write-ahead log, after the data was synced and before SQLite
 * can publish the commit. What it leaves behind is a ghost. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int is_wal(int fd) {
  char link[64], target[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, target, sizeof target);
  return length > 4 && length < (ssize_t)sizeof target && memcmp(target + length - 4, "-wal", 4) == 0;
}

static int sync_and_die(int fd, long call) {
  static int syncs;
  const char *kill_at = getenv("KILL_AT");
  int result = syscall(call, fd);
  if (kill_at && is_wal(fd) && ++syncs == atoi(kill_at)) kill(getpid(), SIGKILL);
  return result;
}

int fsync(int fd) { return sync_and_die(fd, SYS_fsync); }
int fdatasync(int fd) { return sync_and_die(fd, SYS_fdatasync); }
