/* SPDX-License-Identifier: Apache-2.0
 *
 *   1. the thread looks at health_live() three times in the time that the manager waits
 *   2. well: WATCHDOG=1; else a line in the log, a status for people, and nothing more until it is well again
 *
 * A disk that does not answer is no reason to be silent, nor is a full one: a restart makes neither better. While there
 * are no shards, between the end of those of a data directory and the begin of those of the same that was healed, it is
 * told as well: a recovery may take longer than it waits.
 */
#include <notify.h>
#include <watchdog.h>

#include <core/logger.h>

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Times that it is told in the time that the manager waits: under half of it, with room for one late. */
#define WAITS 3u
#define USEC_PER_MS 1000u
#define USEC_MAX UINT64_C(86400000000) /* a day: more would be told no less often than is enough */
#define REASON_MAX 256

/* returns false: it is not there, or no number above 0 */
static bool number_of(const char *variable, uint64_t *number)
{
    const char *text = getenv(variable);
    char *end;
    if (text == NULL || text[0] < '0' || text[0] > '9') {
        return false;
    }
    errno = 0;
    *number = strtoull(text, &end, 10);
    return errno == 0 && *end == 0 && *number > 0;
}

uint64_t watchdog_period_ms(void)
{
    uint64_t usec, pid;
    if (!number_of("WATCHDOG_USEC", &usec)) {
        return 0;
    }
    if (getenv("WATCHDOG_PID") != NULL && (!number_of("WATCHDOG_PID", &pid) || pid != (uint64_t)getpid())) {
        return 0;
    }
    uint64_t period_ms = EL_MIN(usec, USEC_MAX) / WAITS / USEC_PER_MS;
    return EL_MAX(period_ms, (uint64_t)1);
}

static void look(struct watchdog *watchdog)
{
    char reason[REASON_MAX];
    pthread_mutex_lock(&watchdog->lock);
    bool well = health_live(&watchdog->health, reason, sizeof reason);
    pthread_mutex_unlock(&watchdog->lock);
    if (well && !watchdog->well) {
        el_log(EL_LOG_INFO, "server", "all shards answer again, and the service manager's watchdog is told of it");
        notify_service("STATUS=serving again");
    } else if (!well && watchdog->well) {
        el_log(EL_LOG_ERROR, "server", "%s: the service manager's watchdog is told no more that evlogd lives", reason);
        notify_service("STATUS=%s", reason);
    }
    watchdog->well = well;
    if (well) {
        notify_service("WATCHDOG=1");
    }
}

static void *watchdog_main(void *arg)
{
    struct watchdog *watchdog = arg;
    struct pollfd wake = {.fd = watchdog->wake_fd, .events = POLLIN};
    pthread_setname_np(pthread_self(), "evlog-watchdog");
    do {
        look(watchdog);
    } while (poll(&wake, 1, (int)watchdog->period_ms) <= 0);
    return NULL;
}

static void look_at(struct watchdog *watchdog, struct shard *shards, uint32_t shard_count)
{
    pthread_mutex_lock(&watchdog->lock);
    watchdog->health.shards = shards;
    watchdog->health.shard_count = shard_count;
    pthread_mutex_unlock(&watchdog->lock);
}

/* returns 0 | an errno */
static int begin(struct watchdog *watchdog)
{
    sigset_t all, old;
    watchdog->wake_fd = eventfd(0, EFD_CLOEXEC);
    if (watchdog->wake_fd < 0) {
        return errno;
    }
    sigfillset(&all); /* signals are the main thread's */
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(&watchdog->thread, NULL, watchdog_main, watchdog);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc != 0) {
        close(watchdog->wake_fd);
        watchdog->wake_fd = -1;
    }
    return rc;
}

int watchdog_start(struct watchdog *watchdog, struct shard *shards, uint32_t shard_count, struct el_error *err)
{
    look_at(watchdog, shards, shard_count);
    uint64_t period_ms = watchdog_period_ms();
    if (watchdog->wake_fd >= 0 || period_ms == 0) {
        return 0;
    }
    watchdog->well = true;
    watchdog->period_ms = period_ms;
    int rc = begin(watchdog);
    if (rc != 0) {
        return el_error_set(err, EVLOG_ERR_FAILED, "thread of the watchdog: %s", strerror(rc));
    }
    el_log(EL_LOG_INFO, "server", "the service manager's watchdog is told every %" PRIu64 " ms that evlogd lives",
           period_ms);
    return 0;
}

void watchdog_rest(struct watchdog *watchdog)
{
    look_at(watchdog, NULL, 0);
}

void watchdog_stop(struct watchdog *watchdog)
{
    uint64_t one = 1;
    if (watchdog->wake_fd < 0) {
        return;
    }
    ssize_t n = write(watchdog->wake_fd, &one, sizeof one);
    EL_ASSERT(n == sizeof one);
    pthread_join(watchdog->thread, NULL);
    close(watchdog->wake_fd);
    watchdog->wake_fd = -1;
}
