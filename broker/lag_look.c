/* SPDX-License-Identifier: Apache-2.0
 *
 * 1. each shard lists what its groups have committed or work on, into a list of its own
 * 2. when all have, each shard adds how far the partitions that it owns go, to the entries of all lists
 * 3. when all have, the page has rows
 *
 * Each step is a message to every shard, carried out at once there, without reading anything. A shard that is late
 * still has the lists, so there are no rows until it has answered: they are counted as left out.
 */
#include <lag_look.h>

#include <core/alloc.h>
#include <core/assert.h>

#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <time.h>

#define ENTRIES_MAX 16384u /* of a shard: a turn of its loop is held up for a millisecond or two at most */
#define ENTRIES_PER_ROW 16u
#define NS_PER_MS 1000000
#define NS_PER_S 1000000000

#define LAG_LOOK_MAGIC OBJ_MAGIC('l', 'a', 'g', 'l')

struct lag_ask {
    struct io_message message;
    struct lag_look *look;
    struct shard *shard;
};

struct lag_look {
    uint32_t magic;
    uint32_t count;
    uint32_t rows_max;
    _Atomic uint32_t pending; /* shards that have not answered the last step: the lists are theirs */
    sem_t answered;
    struct lag_ask *asks;   /* [count] */
    struct lag_list *lists; /* [count] by shard */
};

static void answer(struct lag_look *look)
{
    uint32_t pending = atomic_fetch_sub(&look->pending, 1);
    EL_ASSERT(pending > 0); /* a shard answers a step once */
    sem_post(&look->answered);
}

static void on_list(struct io_message *message)
{
    struct lag_ask *ask = EL_CONTAINER(message, struct lag_ask, message);
    OBJ_CHECK(ask->look, LAG_LOOK);
    EL_ASSERT(ask->shard->index < ask->look->count);
    struct lag_list *list = &ask->look->lists[ask->shard->index];
    groups_lag(&ask->shard->groups, list);
    leases_lag(ask->shard->leases, list);
    answer(ask->look);
}

static void fill(struct store_shard *store, struct lag_entry *entry)
{
    struct store_look look;
    if (entry->kind == LAG_WORK || !store_look(store, &entry->topic_id, entry->partition, entry->offset, &look)) {
        return;
    }
    int64_t from = EL_MAX(entry->offset, look.log_start_offset);
    entry->records = EL_MAX(look.high_watermark - from, (int64_t)0);
    entry->since_ns = look.append_time_ns;
}

static void on_fill(struct io_message *message)
{
    struct lag_ask *ask = EL_CONTAINER(message, struct lag_ask, message);
    OBJ_CHECK(ask->look, LAG_LOOK);
    for (uint32_t i = 0; i < ask->look->count; i++) {
        const struct lag_list *list = &ask->look->lists[i];
        for (uint32_t k = 0; k < list->entry_count; k++) {
            fill(ask->shard->store, &list->entries[k]);
        }
    }
    answer(ask->look);
}

/* returns false when not all have answered by then */
static bool step(struct lag_look *look, void (*run)(struct io_message *message), const struct timespec *until)
{
    EL_ASSERT(atomic_load(&look->pending) == 0);
    while (sem_trywait(&look->answered) == 0) { /* of those that were late */
    }
    atomic_store(&look->pending, look->count);
    for (uint32_t i = 0; i < look->count; i++) {
        look->asks[i].message.run = run;
        io_post(look->asks[i].shard->io, &look->asks[i].message);
    }
    while (atomic_load(&look->pending) > 0) {
        if (sem_clockwait(&look->answered, CLOCK_MONOTONIC, until) != 0 && errno == ETIMEDOUT) {
            return atomic_load(&look->pending) == 0;
        }
    }
    return true;
}

static struct timespec deadline(void)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)LAG_WAIT_MS * NS_PER_MS;
    until.tv_sec += until.tv_nsec / NS_PER_S;
    until.tv_nsec %= NS_PER_S;
    return until;
}

void lag_look_take(struct lag_look *look, struct lag_page *page)
{
    OBJ_CHECK(look, LAG_LOOK);
    struct timespec now, until = deadline();
    bool whole = atomic_load(&look->pending) == 0;
    for (uint32_t i = 0; i < look->count && whole; i++) {
        lag_list_reset(&look->lists[i]);
    }
    whole = whole && step(look, on_list, &until) && step(look, on_fill, &until);
    clock_gettime(CLOCK_REALTIME, &now);
    *page = (struct lag_page){
        .lists = look->lists,
        .list_count = whole ? look->count : 0,
        .late_count = whole ? 0 : look->count,
        .rows_max = look->rows_max,
        .now_ns = (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec,
    };
}

int lag_look_create(struct shard *shards, uint32_t count, uint32_t rows_max, struct lag_look **look)
{
    EL_ASSERT(rows_max > 0);
    struct lag_look *made = el_calloc(1, sizeof *made);
    if (made == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    made->magic = LAG_LOOK_MAGIC;
    made->rows_max = rows_max;
    sem_init(&made->answered, 0, 0);
    made->asks = el_calloc(count, sizeof *made->asks);
    made->lists = el_calloc(count, sizeof *made->lists);
    int error = made->asks == NULL || made->lists == NULL ? EVLOG_ERR_NO_MEMORY : 0;
    for (; made->count < count && error == 0; made->count++) {
        made->asks[made->count] = (struct lag_ask){.look = made, .shard = &shards[made->count]};
        error = lag_list_init(&made->lists[made->count], EL_MIN(rows_max * ENTRIES_PER_ROW, ENTRIES_MAX));
    }
    if (error != 0) {
        lag_look_destroy(made);
        return error;
    }
    *look = made;
    return 0;
}

void lag_look_destroy(struct lag_look *look)
{
    if (look == NULL) {
        return;
    }
    OBJ_CHECK(look, LAG_LOOK);
    for (uint32_t i = 0; i < look->count; i++) {
        lag_list_free(&look->lists[i]);
    }
    el_free(look->lists);
    el_free(look->asks);
    sem_destroy(&look->answered);
    look->magic = 0;
    el_free(look);
}
