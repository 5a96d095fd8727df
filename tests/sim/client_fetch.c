/* SPDX-License-Identifier: Apache-2.0
 *
 * Consumers: Fetch and LogFetch of up to three partitions, from anywhere, with waits and limits of all sizes;
 * FilterFetch is in client_filter.c.
 */
#include "clients.h"

#include <core/assert.h>
#include <wire/error_code.h>
#include <wire/msg_ext_log_fetch.h>
#include <wire/msg_fetch.h>

#define FETCH_ZSTD 10 /* first version whose readers know zstd */

/* --- what came ---------------------------------------------------------------------------------------------------- */

bool consumer_see_place(struct consumer_client *consumer, const struct consumer_place *place,
                        const struct consumer_fetched *f)
{
    struct clients *c = consumer->c;
    struct world *w = c->w;
    if (f->partition != place->partition) {
        world_violation(w, "a fetch of partition %d was answered for %d", place->partition, f->partition);
        return false;
    }
    bool gone = f->error == EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION || f->error == EL_KAFKA_UNKNOWN_TOPIC_ID;
    bool zstd = f->error == EL_KAFKA_UNSUPPORTED_COMPRESSION_TYPE && !consumer->log_fetch &&
                consumer->version < FETCH_ZSTD;
    bool can_read = !w->read_errors && !w->memory_tight && !w->no_files && !w->lying;
    bool excused = clients_excuse(c, f->error) && !(f->error == EL_KAFKA_KAFKA_STORAGE_ERROR && can_read);
    bool allowed = zstd || f->error == EL_KAFKA_NONE || gone || f->error == EL_KAFKA_OFFSET_OUT_OF_RANGE || excused;
    if (!allowed || (gone && c->m->topics[place->topic].state == TOPIC_THERE)) {
        world_violation(w, "topic %u partition %d: a fetch at %lld failed: %s", place->topic, place->partition,
                        (long long)place->next, el_kafka_error_name(f->error));
    }
    if (f->error != EL_KAFKA_NONE) {
        return false;
    }
    if (f->high_watermark < 0 && w->memory_tight) {
        return false; /* there was no memory for this partition, and others had data */
    }
    model_see_end(c->m, place->topic, place->partition, place->end_before, f->high_watermark);
    if (f->log_start >= 0) {
        model_see_start(c->m, place->topic, place->partition, f->log_start);
    }
    return w->violation[0] == 0;
}

static void see_batch(struct consumer_client *consumer, struct consumer_place *place, const uint8_t *batch,
                      const struct read_entry *e, int64_t high_watermark)
{
    struct clients *c = consumer->c;
    const struct sent *s = model_see(c->m, place->topic, place->partition, place->next, place->fresh, batch, e);
    if (s == NULL) {
        return;
    }
    place->next = s->offset + s->record_count;
    place->fresh = false;
    if (place->next > high_watermark) {
        world_violation(c->w, "topic %u partition %d: a consumer was shown %lld, the end is %lld", place->topic,
                        place->partition, (long long)place->next, (long long)high_watermark);
    }
}

static void see_records(struct consumer_client *consumer, struct consumer_place *place, struct el_slice records,
                        int64_t high_watermark)
{
    struct world *w = consumer->c->w;
    uint32_t count = 0;
    size_t pos = 0;
    for (; pos < records.len && w->violation[0] == 0; count++) {
        struct el_batch_info info;
        if (el_batch_header(records.data + pos, records.len - pos, &info) != 0) {
            world_violation(w, "a fetch gave a part of a batch");
            return;
        }
        struct read_entry e = {.len = info.len};
        see_batch(consumer, place, records.data + pos, &e, high_watermark);
        pos += info.len;
    }
    int64_t most = EL_MIN((int64_t)consumer->bytes_max,
                          rule_most(consumer->c->rules, RULE_FETCH_LEN, consumer->reading));
    if (count > 1 && records.len > (size_t)most) {
        world_violation(w, "a fetch of %lld bytes gave %zu", (long long)most, records.len);
    }
}

static void on_fetched(void *arg, const void *response)
{
    struct consumer_client *consumer = arg;
    struct world *w = consumer->c->w;
    const struct el_msg_fetch_response *answer = response;
    consumer->busy = false;
    if (answer == NULL) {
        return;
    }
    consumer->c->answers++;
    if (answer->error_code != 0 || answer->response_count != consumer->place_count) {
        world_violation(w, "a fetch of %u topics gave %u", consumer->place_count, answer->response_count);
        return;
    }
    for (uint32_t i = consumer->place_count; i-- > 0 && w->violation[0] == 0;) {
        struct consumer_place *place = &consumer->places[i];
        const struct el_msg_fetch_topic_result *topic = &answer->responses[i];
        EL_ASSERT(topic->partition_count == 1);
        const struct el_msg_fetch_partition_result *r = &topic->partitions[0];
        struct consumer_fetched f = {r->partition_index, r->error_code, r->high_watermark, r->log_start_offset};
        if (consumer_see_place(consumer, place, &f)) {
            see_records(consumer, place, r->records, r->high_watermark);
        } else {
            *place = consumer->places[--consumer->place_count];
        }
    }
}

static void on_log_fetched(void *arg, const void *response)
{
    struct consumer_client *consumer = arg;
    struct world *w = consumer->c->w;
    const struct el_msg_ext_log_fetch_response *answer = response;
    consumer->busy = false;
    if (answer == NULL) {
        return;
    }
    consumer->c->answers++;
    if (answer->error != 0 || answer->topic_count != consumer->place_count) {
        world_violation(w, "a LogFetch of %u topics gave %u", consumer->place_count, answer->topic_count);
        return;
    }
    for (uint32_t i = consumer->place_count; i-- > 0 && w->violation[0] == 0;) {
        struct consumer_place *place = &consumer->places[i];
        const struct el_msg_ext_log_fetch_topic_result *topic = &answer->topics[i];
        EL_ASSERT(topic->partition_count == 1);
        const struct el_msg_ext_log_fetch_partition_result *r = &topic->partitions[0];
        struct consumer_fetched f = {r->partition, r->error, r->high_watermark, r->log_start};
        if (!consumer_see_place(consumer, place, &f)) {
            *place = consumer->places[--consumer->place_count];
            continue;
        }
        for (uint32_t b = 0; b < r->batch_count && w->violation[0] == 0; b++) {
            const struct el_msg_ext_log_fetch_batch *batch = &r->batches[b];
            struct read_entry e = {.append_time_ns = batch->append_time_ns,
                                   .leader_epoch = batch->leader_epoch,
                                   .len = (uint32_t)batch->batch.len};
            see_batch(consumer, place, batch->batch.data, &e, r->high_watermark);
        }
    }
}

/* --- what is asked ------------------------------------------------------------------------------------------------ */

/* One place more, that is not there yet. */
static void place_add(struct consumer_client *consumer)
{
    struct clients *c = consumer->c;
    uint32_t topic = clients_topic(c);
    if (topic == UINT32_MAX) {
        return;
    }
    const struct model_topic *t = &c->m->topics[topic];
    int32_t partition = (int32_t)world_below(c->w, (uint64_t)t->partition_count);
    for (uint32_t i = 0; i < consumer->place_count; i++) {
        if (consumer->places[i].topic == topic && consumer->places[i].partition == partition) {
            return;
        }
    }
    const struct model_partition *p = &t->partitions[partition];
    bool start = world_chance(c->w, 300000);
    consumer->places[consumer->place_count++] = (struct consumer_place){
        .topic = topic,
        .partition = partition,
        .next = start ? p->log_start_max : (int64_t)world_below(c->w, (uint64_t)p->end_shown + 2),
        .fresh = true,
    };
}

/* Limits of one request. */
struct fetch_limits {
    int32_t wait_ms, bytes_min, bytes_max;
};

void consumer_lose(struct consumer_client *consumer)
{
    for (uint32_t i = 0; i < consumer->place_count; i++) {
        if (consumer->c->m->topics[consumer->places[i].topic].memory || consumer->c->w->lying) {
            consumer->places[i].fresh = true; /* its place may have gone, and lie inside another batch now */
        }
    }
}

static void ask_fetch(struct consumer_client *consumer, const struct fetch_limits *limits)
{
    struct clients *c = consumer->c;
    struct el_msg_fetch_request request;
    struct el_msg_fetch_topic topics[CLIENT_PLACES];
    struct el_msg_fetch_partition partitions[CLIENT_PLACES];
    el_schema_init(&el_schema_fetch_request, &request);
    for (uint32_t i = 0; i < consumer->place_count; i++) {
        const struct consumer_place *place = &consumer->places[i];
        el_schema_init(&el_schema_fetch_topic, &topics[i]);
        el_schema_init(&el_schema_fetch_partition, &partitions[i]);
        topics[i].topic = el_slice_str(c->m->topics[place->topic].name);
        topics[i].topic_id = c->m->topics[place->topic].id;
        topics[i].partitions = &partitions[i];
        topics[i].partition_count = 1;
        partitions[i].partition = place->partition;
        partitions[i].fetch_offset = place->next;
        partitions[i].partition_max_bytes = limits->bytes_max;
    }
    request.max_wait_ms = limits->wait_ms;
    request.min_bytes = limits->bytes_min;
    request.max_bytes = limits->bytes_max;
    request.isolation_level = (int8_t)world_below(c->w, 2);
    request.topics = topics;
    request.topic_count = consumer->place_count;
    consumer->version = peer_version(&consumer->peer, EL_API_Fetch);
    peer_send(&consumer->peer, EL_API_Fetch, consumer->version, &request, on_fetched, consumer);
}

static void ask_log_fetch(struct consumer_client *consumer, const struct fetch_limits *limits)
{
    struct clients *c = consumer->c;
    struct el_msg_ext_log_fetch_request request;
    struct el_msg_ext_log_fetch_topic topics[CLIENT_PLACES];
    struct el_msg_ext_log_fetch_partition partitions[CLIENT_PLACES];
    el_schema_init(&el_schema_ext_log_fetch_request, &request);
    for (uint32_t i = 0; i < consumer->place_count; i++) {
        const struct consumer_place *place = &consumer->places[i];
        el_schema_init(&el_schema_ext_log_fetch_topic, &topics[i]);
        el_schema_init(&el_schema_ext_log_fetch_partition, &partitions[i]);
        topics[i].topic_id = c->m->topics[place->topic].id;
        topics[i].partitions = &partitions[i];
        topics[i].partition_count = 1;
        partitions[i].partition = place->partition;
        partitions[i].fetch_offset = place->next;
        partitions[i].max_bytes = limits->bytes_max;
    }
    request.max_wait_ms = limits->wait_ms;
    request.min_bytes = limits->bytes_min;
    request.max_bytes = limits->bytes_max;
    request.topics = topics;
    request.topic_count = consumer->place_count;
    peer_send(&consumer->peer, EL_API_LogFetch, 0, &request, on_log_fetched, consumer);
}

void consumer_act(struct consumer_client *consumer)
{
    struct clients *c = consumer->c;
    struct world *w = c->w;
    if (consumer->busy || !peer_can_ask(&consumer->peer)) {
        return;
    }
    if (world_chance(w, 20000)) {
        consumer->place_count = 0;
    }
    if (consumer->place_count == 0 || (consumer->place_count < CLIENT_PLACES && world_chance(w, 50000))) {
        place_add(consumer);
    }
    for (uint32_t i = 0; i < consumer->place_count; i++) {
        struct consumer_place *place = &consumer->places[i];
        place->end_before = model_end(c->m, place->topic, place->partition);
    }
    if (consumer->place_count == 0) {
        return;
    }
    struct fetch_limits limits = {.wait_ms = (int32_t)world_below(w, world_chance(w, 500000) ? 4 : 500)};
    limits.bytes_min = world_chance(w, 600000) ? 1 : (int32_t)world_below(w, world_chance(w, 500000) ? 5000 : 40000);
    limits.bytes_max = (int32_t)world_below(w, 30000);
    consumer->bytes_max = limits.bytes_max;
    consumer->reading = c->rules->done;
    consumer->busy = true;
    consumer->log_fetch = world_chance(w, 600000);
    if (consumer->log_fetch && world_chance(w, 500000)) {
        consumer_filter_ask(consumer, limits.wait_ms, limits.bytes_max);
    } else if (consumer->log_fetch) {
        ask_log_fetch(consumer, &limits);
    } else {
        ask_fetch(consumer, &limits);
    }
}
