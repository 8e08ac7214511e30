/* Preloaded into a program: no file system that it sees has hard links, as with FAT and exFAT, and many of those over FUSE or SMB. */
#include <errno.h>

int link(const char *from, const char *to) {
  (void)from, (void)to;
  errno = EPERM;
  return -1;
}

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags) {
  (void)from_fd, (void)to_fd, (void)flags;
  return link(from, to);
}
