// A disk that hangs and a clock that steps, for a real redis-server: preloaded
// (LD_PRELOAD) by redistest.WithFaults. Everything else is Redis's own.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

// fdatasync, by which Redis syncs its append-only file, does not return while
// the file that TOLLGATE_TEST_DISK names is there.
int fdatasync(int fd) {
  static int (*real)(int);
  const char *hang = getenv("TOLLGATE_TEST_DISK");
  if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  while (hang && access(hang, F_OK) == 0) usleep(5000);
  return real(fd);
}

// gettimeofday, Redis's only wall clock, is ahead by the seconds that stand in
// the file that TOLLGATE_TEST_CLOCK names.
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  static int (*real)(struct timeval *, void *);
  const char *name = getenv("TOLLGATE_TEST_CLOCK");
  long ahead = 0;
  if (!real) real = (int (*)(struct timeval *, void *))dlsym(RTLD_NEXT, "gettimeofday");
  int result = real(now, zone);
  FILE *file = name ? fopen(name, "r") : NULL;
  if (file) {
    if (result == 0 && fscanf(file, "%ld", &ahead) == 1) now->tv_sec += ahead;
    fclose(file);
  }
  return result;
}
