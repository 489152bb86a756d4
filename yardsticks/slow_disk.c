// Loaded before the C library: fsync and fdatasync take at least SYNC_US microseconds, as those of a slower disk do. For programs that
// are linked to the C library when they start; for Linux.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

static int slowed(const char *name, int file) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    const char *us = getenv("SYNC_US");
    until.tv_nsec += 1000 * (us ? atol(us) : 0);
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;

    int (*sync)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    int result = sync(file);
    int why = errno;
    // A thread may be woken up to 50 us late by default.
    int slack_ns = prctl(PR_GET_TIMERSLACK);
    prctl(PR_SET_TIMERSLACK, 1);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
    }
    prctl(PR_SET_TIMERSLACK, slack_ns);
    errno = why;
    return result;
}

int fsync(int file) {
    return slowed("fsync", file);
}

int fdatasync(int file) {
    return slowed("fdatasync", file);
}
