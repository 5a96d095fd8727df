/* SPDX-License-Identifier: Apache-2.0
 *
 * How far a group is behind, in events and in time. Blocking, any thread.
 *
 * 1. Members and committed offsets are asked for; together they name the partitions. A work group has no offsets but a
 *    first event that is not done, and the broker says how many are not.
 * 2. Starts and ends of the logs are asked for, topic by topic.
 * 3. With ages, the first event behind each committed offset is read: its append time, or where the broker tells none
 *    its own, is compared with now. One engine reads all partitions and drops each when its event has come. Where a
 *    topic may not be read it is done topic by topic, so that the others' ages are known.
 *
 * A topic that is gone has unknown ends: its partitions are listed, and add nothing. What a member reads of a topic
 * that this client may not describe is put aside. An age that could not be read in time stays unknown. Nothing here is
 * one moment: a busy group moves between the questions.
 */
#include "admin_work.h"
#include "consumer_state.h"
#include "fail.h"

#include <core/alloc.h>
#include <evlog/admin.h>
#include <evlog/groups.h>
#include <stdlib.h>

#define AGE_WAIT_MS 5000

struct lag_object {
    struct evlog_group_lag lag;
    struct evlog_group_lag_partition *partitions; /* [partition_count] of it */
    struct evlog_partition_offset *hidden;        /* [hidden_count] of it */
    struct el_arena arena;
};

static int compare(const void *a, const void *b)
{
    const struct evlog_group_lag_partition *x = a, *y = b;
    int order = strcmp(x->topic, y->topic);
    return order != 0 ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

/* --- which partitions -------------------------------------------------------------------------------------------- */

static struct evlog_group_lag_partition *partition_of(struct lag_object *object, const char *topic, int32_t partition)
{
    struct evlog_group_lag_partition key = {.topic = topic, .partition = partition};
    size_t count = object->lag.partition_count;
    return count == 0 ? NULL : bsearch(&key, object->partitions, count, sizeof key, compare);
}

static int add(struct lag_object *object, const char *topic, int32_t partition, int64_t committed_offset)
{
    const char *copy = el_arena_strndup(&object->arena, topic, strlen(topic));
    if (copy == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    object->partitions[object->lag.partition_count++] = (struct evlog_group_lag_partition){
        .topic = copy,
        .partition = partition,
        .start_offset = -1,
        .end_offset = -1,
        .committed_offset = committed_offset,
        .lag_count = -1,
        .lag_ms = -1,
    };
    return 0;
}

/* Committed partitions first, then those that are only read; in the end sorted together. */
static int collect(struct lag_object *object, const struct evlog_group_offsets *offsets,
                   const struct evlog_group_info *info)
{
    size_t room = offsets->offset_count + 1;
    for (size_t i = 0; info != NULL && i < info->member_count; i++) {
        room += info->members[i].partition_count;
    }
    object->partitions = el_arena_alloc(&object->arena, room * sizeof *object->partitions);
    int rc = object->partitions == NULL ? EVLOG_ERR_NO_MEMORY : 0;
    for (size_t i = 0; rc == 0 && i < offsets->offset_count; i++) {
        const struct evlog_partition_offset *offset = &offsets->offsets[i];
        rc = add(object, offset->topic, offset->partition, offset->offset);
    }
    size_t committed_count = object->lag.partition_count, all_count = committed_count;
    for (size_t i = 0; info != NULL && rc == 0 && i < info->member_count; i++) {
        const struct evlog_group_member *member = &info->members[i];
        for (size_t j = 0; rc == 0 && j < member->partition_count; j++) {
            object->lag.partition_count = committed_count;
            bool there = partition_of(object, member->partitions[j].topic, member->partitions[j].partition) != NULL;
            object->lag.partition_count = all_count;
            rc = there ? 0 : add(object, member->partitions[j].topic, member->partitions[j].partition, -1);
            all_count = object->lag.partition_count;
        }
    }
    if (rc == 0) {
        qsort(object->partitions, object->lag.partition_count, sizeof *object->partitions, compare);
    }
    return rc;
}

static int name_readers(struct lag_object *object, const struct evlog_group_info *info)
{
    for (size_t i = 0; info != NULL && i < info->member_count; i++) {
        const struct evlog_group_member *member = &info->members[i];
        const char *id = el_arena_strndup(&object->arena, member->id, strlen(member->id));
        const char *client_id = el_arena_strndup(&object->arena, member->client_id, strlen(member->client_id));
        if (id == NULL || client_id == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        for (size_t j = 0; j < member->partition_count; j++) {
            struct evlog_group_lag_partition *p = partition_of(object, member->partitions[j].topic,
                                                               member->partitions[j].partition);
            if (p != NULL) {
                p->member_id = id;
                p->client_id = client_id;
            }
        }
    }
    return 0;
}

/* --- ends -------------------------------------------------------------------------------------------------------- */

static void take_ends(struct evlog_group_lag_partition *partitions, size_t count, const int64_t *starts,
                      const int64_t *ends, int32_t partition_count)
{
    for (size_t i = 0; i < count; i++) {
        struct evlog_group_lag_partition *p = &partitions[i];
        if (p->partition < 0 || p->partition >= partition_count) {
            continue;
        }
        p->start_offset = starts[p->partition];
        p->end_offset = ends[p->partition];
        if (p->committed_offset < 0) {
            continue; /* where it begins is the reader's to say */
        }
        int64_t next_offset = EL_MAX(p->committed_offset, p->start_offset); /* what retention removed is not behind */
        p->lag_count = p->end_offset > next_offset ? p->end_offset - next_offset : 0;
        p->lag_ms = p->lag_count == 0 ? 0 : -1;
    }
}

static int ask_ends(struct evlog_client *client, struct evlog_group_lag_partition *partitions, size_t count,
                    struct evlog_failure *failure)
{
    int32_t partition_count;
    int rc = evlog_topic_partition_count(client, partitions[0].topic, &partition_count, failure);
    if (rc == EVLOG_ERR_UNKNOWN_TOPIC) {
        return 0;
    }
    if (rc != 0) {
        return rc;
    }
    int64_t *starts = el_malloc(2 * (size_t)partition_count * sizeof *starts);
    if (starts == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for the ends of topic %s", partitions[0].topic);
    }
    int64_t *ends = starts + partition_count;
    rc = evlog_offsets_at(client, partitions[0].topic, EVLOG_OFFSET_EARLIEST, starts, partition_count, failure);
    if (rc == 0) {
        rc = evlog_offsets_at(client, partitions[0].topic, EVLOG_OFFSET_LATEST, ends, partition_count, failure);
    }
    if (rc == 0) {
        take_ends(partitions, count, starts, ends, partition_count);
    }
    el_free(starts);
    return rc;
}

/* Behind the last partition of the topic of this one. */
static size_t topic_end(const struct lag_object *object, size_t first)
{
    size_t end = first + 1;
    while (end < object->lag.partition_count &&
           strcmp(object->partitions[first].topic, object->partitions[end].topic) == 0) {
        end++;
    }
    return end;
}

/* Put count partitions, from one on, behind those that are hidden. */
static void hide(struct lag_object *object, const struct evlog_group_lag_partition *partitions, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        object->hidden[object->lag.hidden_count++] = (struct evlog_partition_offset){
            partitions[i].topic, partitions[i].partition, -1, partitions[i].committed_offset};
    }
}

static int ask_all_ends(struct evlog_client *client, struct lag_object *object, struct evlog_failure *failure)
{
    size_t count = object->lag.partition_count, kept = 0;
    object->hidden = el_arena_alloc(&object->arena, (count + 1) * sizeof *object->hidden);
    if (object->hidden == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for the lag of a group");
    }
    for (size_t i = 0, end; i < count; i = end) {
        struct evlog_failure why = EVLOG_FAILURE_INIT;
        end = topic_end(object, i);
        int rc = ask_ends(client, &object->partitions[i], end - i, &why);
        if (rc == EVLOG_ERR_TOPIC_DENIED) {
            hide(object, &object->partitions[i], end - i);
            continue;
        }
        if (rc != 0) {
            return el_fail_copy(failure, &why);
        }
        memmove(&object->partitions[kept], &object->partitions[i], (end - i) * sizeof *object->partitions);
        kept += end - i;
    }
    object->lag.partition_count = kept;
    return 0;
}

/* --- ages -------------------------------------------------------------------------------------------------------- */

static void take_age(struct lag_object *object, const struct evlog_event *event)
{
    struct evlog_group_lag_partition *p = partition_of(object, event->topic, event->partition);
    int64_t time_ms = event->append_time_ns >= 0 ? event->append_time_ns / EL_NS_PER_MS : event->timestamp_ms;
    if (p != NULL && time_ms >= 0) {
        p->lag_ms = EL_MAX(el_unix_ms() - time_ms, 0);
    }
}

static int read_ages(struct evlog_consumer *engine, struct lag_object *object, int64_t deadline_ns,
                     struct evlog_failure *failure)
{
    while (engine->feed_count > 0 && el_now_ns() < deadline_ns) {
        int rc = el_consumer_event(engine, failure);
        if (rc < 0) {
            return rc;
        }
        if (rc == 1) {
            take_age(object, &engine->event);
            el_consumer_drop(engine, engine->open);
            continue;
        }
        el_client_lock(engine->client);
        rc = el_consumer_has_answer(engine) ? 0 : el_consumer_await(engine, deadline_ns, failure);
        el_client_unlock(engine->client);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

/* Is the first event behind to be looked at? */
static bool wants_age(const struct evlog_group_lag_partition *p)
{
    return p->lag_count > 0 && p->lag_ms < 0;
}

/* Of the partitions from first on, below end. */
static int ages_between(struct evlog_client *client, struct lag_object *object, size_t first, size_t end,
                        struct evlog_failure *failure)
{
    struct evlog_consumer engine;
    el_consumer_init(&engine, client);
    engine.quiet = true;
    engine.resets = true; /* an offset that has gone meanwhile: its age stays unknown */
    int rc = 0;
    for (size_t i = first; rc == 0 && i < end; i++) {
        const struct evlog_group_lag_partition *p = &object->partitions[i];
        int64_t offset = EL_MAX(p->committed_offset, p->start_offset);
        if (wants_age(p) && el_consumer_add(&engine, p->topic, p->partition, offset) == NULL) {
            rc = el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory to read topic %s", p->topic);
        }
    }
    if (rc == 0) {
        rc = read_ages(&engine, object, el_deadline(AGE_WAIT_MS), failure);
    }
    el_consumer_destroy(&engine);
    return rc;
}

static int ask_ages(struct evlog_client *client, struct lag_object *object, struct evlog_failure *failure)
{
    struct evlog_failure why = EVLOG_FAILURE_INIT;
    int rc = ages_between(client, object, 0, object->lag.partition_count, &why);
    if (rc != EVLOG_ERR_TOPIC_DENIED) {
        return rc == 0 ? 0 : el_fail_copy(failure, &why);
    }
    for (size_t i = 0, end; i < object->lag.partition_count; i = end) {
        end = topic_end(object, i);
        rc = ages_between(client, object, i, end, &why);
        if (rc != 0 && rc != EVLOG_ERR_TOPIC_DENIED) {
            return el_fail_copy(failure, &why);
        }
        for (size_t k = i; rc != 0 && k < end; k++) {
            object->lag.unread_count += wants_age(&object->partitions[k]);
            object->lag.unread_topic = object->partitions[k].topic;
        }
    }
    return 0;
}

/* --- all of it --------------------------------------------------------------------------------------------------- */

static void add_up(struct lag_object *object)
{
    object->lag.lag_ms_max = -1;
    for (size_t i = 0; i < object->lag.partition_count; i++) {
        object->lag.total_count += EL_MAX(object->partitions[i].lag_count, 0);
        object->lag.lag_ms_max = EL_MAX(object->lag.lag_ms_max, object->partitions[i].lag_ms);
    }
    object->lag.partitions = object->partitions;
    object->lag.hidden = object->hidden;
}

static int fill(struct evlog_client *client, struct lag_object *object, const struct evlog_group_offsets *offsets,
                const struct evlog_group_info *info, struct evlog_failure *failure)
{
    int rc = collect(object, offsets, info);
    if (rc == 0) {
        rc = name_readers(object, info);
    }
    return rc != 0 ? el_fail(failure, rc, "no memory for the lag of a group") : ask_all_ends(client, object, failure);
}

/* What the broker says of events that are done beyond the first that is not. */
static void take_lags(struct lag_object *object, const struct el_work_offsets *work)
{
    for (size_t i = 0; i < work->count; i++) {
        struct evlog_group_lag_partition *p = partition_of(object, work->offsets[i].topic, work->offsets[i].partition);
        if (p != NULL && work->lags[i] >= 0) {
            p->lag_count = work->lags[i];
            p->lag_ms = p->lag_count == 0 ? 0 : -1;
        }
    }
}

/* Everything about a group into object. */
static int ask(struct evlog_client *client, struct lag_object *object, const struct evlog_group_offsets *offsets,
               const struct evlog_group_info *info, bool with_ages, struct evlog_failure *failure)
{
    struct el_work_offsets work = {.count = 0};
    struct evlog_group_offsets of_work;
    bool is_work = info != NULL && strcmp(info->protocol_type, EL_WORK_GROUP_TYPE) == 0;
    int rc = is_work ? el_work_offsets_ask(client, info->name, &work, failure) : 0;
    if (rc != 0) {
        return rc;
    }
    of_work = (struct evlog_group_offsets){work.offsets, work.count};
    rc = fill(client, object, is_work ? &of_work : offsets, info, failure);
    if (rc == 0 && is_work) {
        take_lags(object, &work);
    }
    if (rc == 0 && with_ages) {
        rc = ask_ages(client, object, failure);
    }
    if (is_work) {
        el_work_offsets_free(&work);
    }
    return rc;
}

int evlog_group_lag(struct evlog_client *client, const char *group, bool with_ages, struct evlog_group_lag **lag,
                    struct evlog_failure *failure)
{
    struct evlog_group_info *info = NULL;
    struct evlog_group_offsets *offsets = NULL;
    struct evlog_failure not_there = EVLOG_FAILURE_INIT;
    int rc = evlog_group_describe(client, group, &info, &not_there);
    if (rc != 0 && rc != EVLOG_ERR_GROUP_NOT_FOUND) {
        return el_fail_copy(failure, &not_there);
    }
    bool is_work = info != NULL && strcmp(info->protocol_type, EL_WORK_GROUP_TYPE) == 0;
    rc = is_work ? 0 : evlog_group_offsets(client, group, &offsets, failure);
    struct lag_object *object = rc == 0 ? el_calloc(1, sizeof *object) : NULL;
    if (rc == 0 && info == NULL && offsets->offset_count == 0) {
        rc = el_fail_copy(failure, &not_there);
    } else if (rc == 0 && object == NULL) {
        rc = el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for the lag of group %s", group);
    }
    if (object != NULL) {
        el_arena_init(&object->arena, NULL, 0);
    }
    if (rc == 0) {
        rc = ask(client, object, offsets, info, with_ages, failure);
    }
    evlog_group_info_free(info);
    evlog_group_offsets_free(offsets);
    if (rc != 0) {
        evlog_group_lag_free(object == NULL ? NULL : &object->lag);
        return rc;
    }
    add_up(object);
    *lag = &object->lag;
    return 0;
}

void evlog_group_lag_free(struct evlog_group_lag *lag)
{
    if (lag != NULL) {
        struct lag_object *object = EL_CONTAINER(lag, struct lag_object, lag);
        el_arena_reset(&object->arena);
        el_free(object);
    }
}
