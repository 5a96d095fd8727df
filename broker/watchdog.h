/* SPDX-License-Identifier: Apache-2.0
 *
 * Tells the service manager again and again that evlogd is alive, by the protocol of sd_watchdog_enabled(3), and stops
 * telling it when it is not by health_live(): the manager ends the process then, and starts it anew. A thread of its
 * own: the main thread waits for shards, which may stand still.
 */
#ifndef EL_WATCHDOG_H
#define EL_WATCHDOG_H

#include <health.h>

#include <pthread.h>

struct watchdog {
    pthread_mutex_t lock; /* of health */
    struct health health; /* what it looks at */
    uint64_t period_ms;
    int wake_fd; /* eventfd; -1: the thread does not run */
    bool well;   /* what was told last; the thread's */
    pthread_t thread;
};
#define WATCHDOG_NONE                                                                                                  \
    {                                                                                                                  \
        .lock = PTHREAD_MUTEX_INITIALIZER, .wake_fd = -1                                                               \
    }

/* How often the manager is to be told, by WATCHDOG_USEC and WATCHDOG_PID: a third of the time that it waits.
 *
 * returns  milliseconds | 0: it does not watch, or another process, or what it says is no time
 */
uint64_t watchdog_period_ms(void);
/* Look at these shards, which have turned by now; begin to tell of them, if somebody watches and it is not begun. The
 * sandbox is around the caller: it is around the thread, too. returns 0 | EVLOG_ERR_FAILED */
int watchdog_start(struct watchdog *watchdog, struct shard *shards, uint32_t shard_count, struct el_error *err);
/* Those shards end, perhaps for others. Until then it is told that evlogd lives, as long as that may take. */
void watchdog_rest(struct watchdog *watchdog);
/* The last word was said. One that was not started is ignored. */
void watchdog_stop(struct watchdog *watchdog);

#endif
