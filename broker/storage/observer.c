/* SPDX-License-Identifier: Apache-2.0
 *
 * The observer's side of storage: what it may ask of a partition, and who waits for it.
 *
 * Appends that are held wait in part->held, in order. store_observed_resume() puts the partition into the list that
 * shard_retry_held() goes through. Trims above the floor wait in part->held_trims.
 */
#include <storage/shard_state.h>

#include <core/assert.h>

void store_observe(struct store_shard *shard, const struct store_observer *observer)
{
    OBJ_CHECK(shard, SHARD);
    EL_ASSERT(shard->observer == NULL);
    shard->observer = observer;
}

struct partition *store_observed_find(struct store_shard *shard, const struct el_uuid *topic_id, int32_t number)
{
    struct partition *part = partition_find(shard, topic_id, number);
    return part != NULL && part->observed ? part : NULL;
}

const struct el_uuid *store_observed_topic(const struct partition *part)
{
    return &part->key.topic_id;
}

int32_t store_observed_number(const struct partition *part)
{
    return part->key.partition;
}

int64_t store_observed_setting(const struct partition *part, enum topic_setting_id id)
{
    EL_ASSERT(part->topic != NULL);
    return topic_config_int(&part->topic->config, &part->shard->topic_defaults, id);
}

int64_t store_observed_log_start(const struct partition *part)
{
    return part->log_start;
}

int64_t store_observed_next_offset(const struct partition *part)
{
    return part->next_offset;
}

int64_t store_observed_high_watermark(const struct partition *part)
{
    return part->high_watermark;
}

bool store_observed_settling(const struct partition *part)
{
    return tier_settling(part);
}

void **store_observed_state(struct partition *part)
{
    OBJ_CHECK(part, PARTITION);
    EL_ASSERT(part->observed);
    return &part->observer_state;
}

void store_observed_resume(struct partition *part)
{
    OBJ_CHECK(part, PARTITION);
    if (!el_list_empty(&part->held)) {
        el_list_remove(&part->held_link);
        el_list_push_back(&part->shard->resumed_parts, &part->held_link);
        io_wake(part->shard->io);
    }
}

void store_observed_floor(struct partition *part, int error)
{
    OBJ_CHECK(part, PARTITION);
    struct el_list trims;
    el_list_init(&trims);
    el_list_splice_back(&trims, &part->held_trims);
    for (struct el_list *n; (n = el_list_pop_front(&trims)) != NULL;) {
        struct store_op *op = EL_CONTAINER(n, struct store_op, link);
        if (error != 0) {
            store_op_finish(op, error);
        } else {
            op->run(op);
        }
    }
}

void store_when_durable(struct store_shard *shard, struct journal_wait *wait)
{
    journal_wait(&shard->journal, wait);
}

uint64_t store_last_sequence(const struct store_shard *shard)
{
    return shard->journal.next_sequence - 1;
}

void store_observer_failed(struct store_shard *shard, const char *reason)
{
    atomic_store(&shard->observer_reason, reason);
}

void observer_forget(struct partition *part)
{
    struct store_shard *shard = part->shard;
    if (!part->observed) {
        return;
    }
    el_list_remove(&part->held_link);
    for (struct el_list *n; (n = el_list_pop_front(&part->held)) != NULL;) {
        struct append_op *op = EL_CONTAINER(n, struct append_op, base.link);
        if (op->observer_knows) {
            op->observer_knows = false;
            shard->observer->ended(shard->observer->arg, NULL, op, EVLOG_ERR_UNKNOWN_TOPIC);
        }
        store_op_finish(&op->base, EVLOG_ERR_UNKNOWN_TOPIC);
    }
    store_observed_floor(part, EVLOG_ERR_UNKNOWN_TOPIC);
    EL_ASSERT(el_list_empty(&part->held));
    EL_ASSERT(el_list_empty(&part->held_trims));
    if (shard->observer != NULL) {
        shard->observer->deleted(shard->observer->arg, part);
    }
}

int64_t observer_allows(struct partition *part, int64_t log_start, int *error)
{
    *error = 0;
    const struct store_observer *observer = part->shard->observer;
    if (!part->observed || observer == NULL || log_start <= part->log_start) {
        return log_start;
    }
    int64_t floor = observer->floor(observer->arg, part);
    if (floor < log_start) {
        *error = observer->raise(observer->arg, part, log_start);
    }
    return EL_MIN(log_start, floor);
}
