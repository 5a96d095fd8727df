/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking at projections that others run: what is known of them, pauses, and waiting for an event to be in.
 */
#include "client_core.h"
#include "fail.h"

#include <errno.h>
#include <evlog/projection.h>
#include <stdlib.h>
#include <time.h>
#include <wire/position.h>

#define POLL_FIRST_MS 5
#define POLL_MAX_MS 100

int evlog_projection_list(struct evlog_projection_store *store, const char *name, evlog_projection_row_fn fn, void *arg,
                          struct evlog_failure *failure)
{
    return store->calls->rows(store, name, fn, arg, failure);
}

int evlog_projection_positions(struct evlog_projection_store *store, const char *name, evlog_projection_position_fn fn,
                               void *arg, struct evlog_failure *failure)
{
    return store->calls->positions(store, name, fn, arg, failure);
}

int evlog_projection_pause(struct evlog_projection_store *store, const char *name, bool paused,
                           struct evlog_failure *failure)
{
    return store->calls->set_paused(store, name, paused, failure);
}

/* --- waiting ------------------------------------------------------------------------------------------------------ */

#define TOPIC_LEN_MAX 249

/* What is waited for; a topic is known by its name, or by its id. */
struct sought {
    char topic[TOPIC_LEN_MAX + 1]; /* empty: by id */
    struct el_position place;
    int64_t reached; /* -1: the projection does not read it */
};

static bool read_number(const char **text, int64_t max, int64_t *number)
{
    if (**text < '0' || **text > '9') {
        return false;
    }
    char *end;
    errno = 0;
    long long value = strtoll(*text, &end, 10);
    *text = end;
    *number = value;
    return errno == 0 && value <= max;
}

/* TOPIC/PARTITION/OFFSET of an event that must be in. */
static bool read_place(const char *text, struct sought *sought)
{
    int64_t partition, offset;
    size_t len = strcspn(text, "/");
    if (len == 0 || len > TOPIC_LEN_MAX || text[len] != '/') {
        return false;
    }
    memcpy(sought->topic, text, len);
    sought->topic[len] = '\0';
    text += len + 1;
    if (!read_number(&text, INT32_MAX, &partition) || *text++ != '/' || !read_number(&text, INT64_MAX - 1, &offset) ||
        *text != '\0') {
        return false;
    }
    sought->place.partition = (int32_t)partition;
    sought->place.offset = offset + 1;
    return true;
}

static int read_position(const char *text, struct sought *sought, struct evlog_failure *failure)
{
    *sought = (struct sought){.reached = -1};
    if (strchr(text, '/') != NULL ? read_place(text, sought)
                                  : el_position_parse(el_slice_str(text), &sought->place) == 0) {
        return 0;
    }
    (void)el_fail(failure, EVLOG_ERR_MALFORMED, "\"%.60s\" is no position", text);
    el_fail_hint(failure, "a position is the word that an append printed, or TOPIC/PARTITION/OFFSET");
    return EVLOG_ERR_MALFORMED;
}

static int find(void *arg, const struct evlog_projection_position *position)
{
    struct sought *sought = arg;
    bool same = sought->topic[0] != '\0' ? strcmp(position->topic, sought->topic) == 0
                                         : memcmp(position->topic_id, sought->place.topic_id.bytes, 16) == 0;
    if (same && position->partition == sought->place.partition) {
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
    struct sought sought;
    int rc = read_position(position, &sought, failure);
    if (rc == 0) {
        rc = store->calls->rows(store, name, ignore_row, NULL, failure);
    }
    while (rc == 0) {
        rc = store->calls->positions(store, name, find, &sought, failure);
        if (rc != 0 || sought.reached >= sought.place.offset) {
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
