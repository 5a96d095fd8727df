/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking at projections that others run: what is known of them, pauses, and waiting for an event to be in.
 */
#include "client_core.h"
#include "fail.h"
#include "place.h"

#include <evlog/projection.h>
#include <time.h>

#define POLL_FIRST_MS 5
#define POLL_MAX_MS 100

int evlog_projection_list(struct evlog_projection_store *store, const char *name, evlog_projection_row_fn fn, void *arg,
                          struct evlog_failure *failure)
{
    return store->calls->rows(store, name, fn, arg, failure);
}

/* Who asks for the checkpoint. */
struct told {
    evlog_projection_position_fn fn;
    void *arg;
};

static int tell_position(void *arg, const struct evlog_projection_position *position)
{
    const struct told *told = arg;
    return position->lane_count > 0 ? 0 : told->fn(told->arg, position);
}

int evlog_projection_positions(struct evlog_projection_store *store, const char *name, evlog_projection_position_fn fn,
                               void *arg, struct evlog_failure *failure)
{
    struct told told = {fn, arg};
    return store->calls->positions(store, name, tell_position, &told, failure);
}

int evlog_projection_pause(struct evlog_projection_store *store, const char *name, bool paused,
                           struct evlog_failure *failure)
{
    return store->calls->set_paused(store, name, paused, failure);
}

/* --- waiting ------------------------------------------------------------------------------------------------------ */

/* What is waited for. */
struct sought {
    struct el_place place;
    int64_t reached; /* -1: the projection does not read it */
};

static int find(void *arg, const struct evlog_projection_position *position)
{
    struct sought *sought = arg;
    bool same = el_place_is_of(&sought->place, position->topic, position->topic_id);
    if (same && position->lane_count == 0 && position->partition == sought->place.partition) {
        sought->reached = position->next_offset;
    }
    return 0;
}

static int ignore_row(void *arg, const struct evlog_projection_row *row)
{
    (void)arg;
    (void)row;
    return 0;
}

static void pause_ms(int64_t ms)
{
    struct timespec left = {ms / 1000, ms % 1000 * EL_NS_PER_MS};
    (void)nanosleep(&left, NULL);
}

static int too_late(const char *name, const char *position, const struct sought *sought, struct evlog_failure *failure)
{
    if (sought->reached < 0) {
        return el_fail(failure, EVLOG_ERR_NOT_FOUND, "projection %s does not read the partition of %.100s", name,
                       position);
    }
    (void)el_fail(failure, EVLOG_ERR_TIMED_OUT, "projection %s has not come to %.100s in time: it is at offset %lld",
                  name, position, (long long)sought->reached);
    el_fail_hint(failure, "evlog project status says whether it runs, and how far it is behind");
    return EVLOG_ERR_TIMED_OUT;
}

int evlog_project_wait(struct evlog_projection_store *store, const char *name, const char *position, int timeout_ms,
                       struct evlog_failure *failure)
{
    int64_t deadline_ns = el_deadline(timeout_ms), poll_ms = POLL_FIRST_MS;
    struct sought sought = {.reached = -1};
    int rc = el_place_read(position, &sought.place, failure);
    if (rc == 0) {
        rc = store->calls->rows(store, name, ignore_row, NULL, failure);
    }
    while (rc == 0) {
        rc = store->calls->positions(store, name, find, &sought, failure);
        if (rc != 0 || sought.reached >= sought.place.next_offset) {
            break;
        }
        int64_t now_ns = el_now_ns();
        if (now_ns >= deadline_ns) {
            return too_late(name, position, &sought, failure);
        }
        pause_ms(EL_MIN(poll_ms, (deadline_ns - now_ns) / EL_NS_PER_MS + 1));
        poll_ms = EL_MIN(2 * poll_ms, POLL_MAX_MS);
    }
    return rc;
}
