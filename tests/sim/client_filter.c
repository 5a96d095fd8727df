/* SPDX-License-Identifier: Apache-2.0
 *
 * Consumers with a filter: FilterFetch of the partitions of one topic. Below the offset that an answer tells to go on
 * from, and from the one that was asked for, all is known: every batch with a match that is stored is in the answer,
 * and no other one is. So a reader who goes on there gets each event once, in order.
 */
#include "clients.h"
#include "keyed.h"

#include <core/assert.h>
#include <stdio.h>
#include <wire/error_code.h>
#include <wire/msg_ext_filter_fetch.h>

/* Does the filter take the record? What its name says is asked for here by number. */
static bool is_wanted(const struct consumer_filter *filter, const struct sent *s, uint32_t index)
{
    char key[12];
    int64_t number = keyed_number(s, index);
    switch (filter->kind) {
    case FILTER_OPEN:
        return true;
    case FILTER_KEY:
        return number == filter->number;
    case FILTER_PREFIX:
    case FILTER_PATTERN:
        if (number < 0) {
            return false;
        }
        keyed_key(s, index, key);
        return strncmp(key, filter->text, strlen(filter->text)) == 0;
    case FILTER_TYPE:
        return false; /* no event has one */
    }
    return false;
}

/* Has the batch a record that is wanted, from an offset on? Of a compacted topic, among those that were read last. A
 * filter that takes all looks into no batch: as by Fetch, one comes also when nothing of it is left from there on. */
static bool has_wanted(const struct consumer_filter *filter, const struct sent *s, int64_t from)
{
    if (filter->kind == FILTER_OPEN) {
        return s->offset + s->record_count > from;
    }
    for (uint32_t i = 0; i < s->record_count; i++) {
        bool there = s->key_count == 0 || (s->read_records >> i % KEYED_RECORDS_MAX & 1) != 0;
        if (there && s->offset + i >= from && is_wanted(filter, s, i)) {
            return true;
        }
    }
    return false;
}

/* One batch of an answer; *at is behind the one before. */
static void see_batch(struct consumer_client *consumer, const struct consumer_place *place,
                      const struct el_msg_ext_log_fetch_batch *batch, int64_t *at)
{
    struct clients *c = consumer->c;
    struct read_entry e = {.append_time_ns = batch->append_time_ns,
                           .leader_epoch = batch->leader_epoch,
                           .len = (uint32_t)batch->batch.len};
    struct sent *s = model_see(c->m, place->topic, place->partition, el_batch_base_offset(batch->batch.data), false,
                               batch->batch.data, &e);
    if (s == NULL || c->w->violation[0] != 0) {
        return;
    }
    if (s->offset + s->record_count <= *at || !has_wanted(&consumer->filter, s, place->next)) {
        world_violation(c->w, "topic %u partition %d: a filtered fetch from %lld gave the batch at %lld %s",
                        place->topic, place->partition, (long long)place->next, (long long)s->offset,
                        s->offset + s->record_count <= *at ? "out of order" : "without a match");
    }
    *at = s->offset + s->record_count;
    s->seen = true;
}

/* What is known to be stored and wanted, and was not given. A next within a batch has stood still: it says nothing. */
static void check_missing(struct consumer_client *consumer, const struct consumer_place *place, int64_t next)
{
    struct model *m = consumer->c->m;
    for (uint32_t i = 0; i < m->sent_count; i++) {
        struct sent *s = &m->sent[i];
        bool here = s->topic == place->topic && s->partition == place->partition && s->state == SENT_STORED &&
                    s->offset + s->record_count > place->next && s->offset + s->record_count <= next;
        bool told = s->seen;
        s->seen = false;
        consumer->c->w->events[EVENT_FILTER_PASSED] += here && !told && s->key_count == 0;
        consumer->c->w->events[EVENT_FILTER_GAVE] += here && told && consumer->filter.kind != FILTER_OPEN;
        if (here && !told && s->key_count == 0 && !m->w->lying && has_wanted(&consumer->filter, s, place->next)) {
            world_violation(
                m->w, "topic %u partition %d: a filtered fetch from %lld to %lld left out the batch at %lld",
                place->topic, place->partition, (long long)place->next, (long long)next, (long long)s->offset);
        }
    }
}

static void see_result(struct consumer_client *consumer, struct consumer_place *place,
                       const struct el_msg_ext_filter_fetch_result *r)
{
    struct world *w = consumer->c->w;
    int64_t at = place->next;
    for (uint32_t i = 0; i < consumer->c->m->sent_count; i++) {
        consumer->c->m->sent[i].seen = false;
    }
    for (uint32_t i = 0; i < r->batch_count && w->violation[0] == 0; i++) {
        see_batch(consumer, place, &r->batches[i], &at);
    }
    if (w->violation[0] == 0 && (r->next < at || r->next > EL_MAX(r->high_watermark, place->next))) {
        world_violation(w, "topic %u partition %d: a filtered fetch from %lld says to go on at %lld, end %lld",
                        place->topic, place->partition, (long long)place->next, (long long)r->next,
                        (long long)r->high_watermark);
    }
    bool stuck = r->next == place->next && r->next < r->high_watermark;
    if (w->violation[0] == 0 && stuck && consumer->filter.count == 1 && !w->memory_tight) {
        world_violation(w, "topic %u partition %d: a filtered fetch from %lld does not get on, end %lld", place->topic,
                        place->partition, (long long)place->next, (long long)r->high_watermark);
    }
    if (w->violation[0] == 0) {
        check_missing(consumer, place, r->next);
    }
    place->fresh = place->fresh && r->next == place->next;
    place->next = r->next;
}

static void on_filtered(void *arg, const void *response)
{
    struct consumer_client *consumer = arg;
    struct world *w = consumer->c->w;
    const struct el_msg_ext_filter_fetch_response *answer = response;
    consumer->busy = false;
    if (answer == NULL) {
        return;
    }
    consumer->c->answers++;
    if (answer->error != 0 || answer->partition_count != consumer->filter.count) {
        world_violation(w, "a filtered fetch of %u partitions gave %u: %s", consumer->filter.count,
                        answer->partition_count, el_kafka_error_name(answer->error));
        return;
    }
    for (uint32_t i = consumer->filter.count; i-- > 0 && w->violation[0] == 0;) {
        struct consumer_place *place = &consumer->places[consumer->filter.places[i]];
        const struct el_msg_ext_filter_fetch_result *r = &answer->partitions[i];
        struct consumer_fetched f = {r->partition, r->error, r->high_watermark, r->log_start};
        if (consumer_see_place(consumer, place, &f)) {
            see_result(consumer, place, r);
        } else {
            *place = consumer->places[--consumer->place_count];
        }
    }
}

static void filter_choose(struct consumer_client *consumer, const struct model_topic *t)
{
    struct world *w = consumer->c->w;
    struct consumer_filter *filter = &consumer->filter;
    filter->kind = (enum consumer_filter_kind)world_below(w, FILTER_TYPE + 1);
    filter->number = (int64_t)world_below(w, EL_MAX(EL_MAX(t->key_count, t->spread), 1u));
    if (filter->kind == FILTER_KEY) {
        snprintf(filter->text, sizeof filter->text, "k%lld", (long long)filter->number);
    } else {
        snprintf(filter->text, sizeof filter->text, "k%llu", (unsigned long long)world_below(w, 4));
    }
    snprintf(filter->pattern, sizeof filter->pattern, "{\"key\":[{\"prefix\":\"%s\"}]}", filter->text);
}

void consumer_filter_ask(struct consumer_client *consumer, int32_t wait_ms, int32_t bytes_max)
{
    struct clients *c = consumer->c;
    struct consumer_filter *filter = &consumer->filter;
    struct el_msg_ext_filter_fetch_request request;
    struct el_msg_ext_filter_fetch_partition partitions[CLIENT_PLACES];
    const struct model_topic *t = &c->m->topics[consumer->places[0].topic];
    struct el_slice word;
    filter_choose(consumer, t);
    filter->count = 0;
    el_schema_init(&el_schema_ext_filter_fetch_request, &request);
    for (uint32_t i = 0; i < consumer->place_count; i++) {
        if (consumer->places[i].topic != consumer->places[0].topic) {
            continue;
        }
        struct el_msg_ext_filter_fetch_partition *p = &partitions[filter->count];
        el_schema_init(&el_schema_ext_filter_fetch_partition, p);
        p->partition = consumer->places[i].partition;
        p->offset = consumer->places[i].next;
        p->max_bytes = bytes_max;
        p->version = world_chance(c->w, 300000);
        filter->places[filter->count++] = i;
    }
    word = el_slice_str(filter->kind == FILTER_PATTERN ? filter->pattern : filter->text);
    request.topic_id = t->id;
    request.key = filter->kind == FILTER_KEY ? word : request.key;
    request.prefix = filter->kind == FILTER_PREFIX ? word : request.prefix;
    request.types = &word;
    request.type_count = filter->kind == FILTER_TYPE;
    request.filters = &word;
    request.filter_count = filter->kind == FILTER_PATTERN;
    request.max_wait_ms = wait_ms;
    request.max_bytes = bytes_max;
    request.partitions = partitions;
    request.partition_count = filter->count;
    peer_send(&consumer->peer, EL_API_FilterFetch, 0, &request, on_filtered, consumer);
}
