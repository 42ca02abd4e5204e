/* Shows a process, by LD_PRELOAD, a time of day that is CLOCK_OFF_S seconds off. What waits until a time of day is given
   the true one again; clocks that only measure stay as they are. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>

static time_t off(void) {
  const char *seconds = getenv("CLOCK_OFF_S");
  return seconds ? atol(seconds) : 0;
}

#define NEXT(name) ((typeof(&name))dlsym(RTLD_NEXT, #name))

int clock_gettime(clockid_t clock, struct timespec *now) {
  static typeof(&clock_gettime) next;
  if (!next) next = NEXT(clock_gettime);
  int result = next(clock, now);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += off();
  return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  static typeof(&gettimeofday) next;
  if (!next) next = NEXT(gettimeofday);
  int result = next(now, zone);
  if (result == 0) now->tv_sec += off();
  return result;
}

time_t time(time_t *now) {
  struct timespec found;
  clock_gettime(CLOCK_REALTIME, &found);
  if (now) *now = found.tv_sec;
  return found.tv_sec;
}

int cnd_timedwait(cnd_t *condition, mtx_t *mutex, const struct timespec *until) {
  static typeof(&cnd_timedwait) next;
  if (!next) next = NEXT(cnd_timedwait);
  struct timespec true_until = {until->tv_sec - off(), until->tv_nsec};
  return next(condition, mutex, &true_until);
}
