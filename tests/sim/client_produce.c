/* SPDX-License-Identifier: Apache-2.0
 *
 * Producers: each writes one partition, up to five batches under way. An idempotent one sends what has no answer again,
 * with the same sequence numbers and in order, after an error or a lost connection. Another one cannot know whether a
 * batch is stored and does not send it again; after a lost connection what was under way may still come, in between
 * what it sends then, so it goes on as another producer.
 */
#include "clients.h"

#include <core/assert.h>
#include <stdlib.h>
#include <wire/error_code.h>
#include <wire/msg_init_producer_id.h>
#include <wire/msg_produce.h>

#define BATCH_ROOM (160u << 10)
#define RECORDS_MAX 5u

static uint32_t flights_busy(const struct producer_client *p)
{
    uint32_t busy = 0;
    for (uint32_t k = 0; k < CLIENT_WINDOW; k++) {
        busy += p->flights[k].busy;
    }
    return busy;
}

static void retire(struct producer_client *p)
{
    p->state = PRODUCER_NEW;
    p->queue_len = p->asked = 0;
    p->failed = false;
}

/* --- a producer begins -------------------------------------------------------------------------------------------- */

static void on_id(void *arg, const void *response)
{
    struct producer_client *p = arg;
    struct clients *c = p->c;
    const struct el_msg_init_producer_id_response *answer = response;
    EL_ASSERT(p->state == PRODUCER_ASKS_ID);
    p->state = PRODUCER_NEW;
    if (answer == NULL) {
        return;
    }
    if (answer->error_code != EL_KAFKA_NONE) {
        if (answer->error_code != EL_KAFKA_KAFKA_STORAGE_ERROR &&
            answer->error_code != EL_KAFKA_NOT_LEADER_OR_FOLLOWER) {
            world_violation(c->w, "InitProducerId failed: %s", el_kafka_error_name(answer->error_code));
        }
        return;
    }
    for (uint32_t i = 0; i < c->id_count; i++) {
        if (c->ids[i] == answer->producer_id) {
            world_violation(c->w, "producer id %lld was given out twice", (long long)answer->producer_id);
        }
    }
    if (answer->producer_id < 0 || answer->producer_epoch != 0) {
        world_violation(c->w, "producer id %lld with epoch %d", (long long)answer->producer_id, answer->producer_epoch);
    }
    c->ids[c->id_count++] = answer->producer_id;
    p->id = answer->producer_id;
    p->state = PRODUCER_READY;
}

static void begin(struct producer_client *p)
{
    struct clients *c = p->c;
    uint32_t topic = clients_topic(c);
    if (topic == UINT32_MAX || c->producer_count == MODEL_PRODUCERS_MAX || flights_busy(p) > 0) {
        return;
    }
    p->index = c->producer_count++;
    p->topic = topic;
    p->partition = (int32_t)world_below(c->w, (uint64_t)c->m->topics[topic].partition_count);
    p->id = -1;
    p->next_sequence = 0;
    p->proved = false;
    p->lost_before = p->peer.lost_count;
    p->acks = world_chance(c->w, 100000) ? 0 : world_chance(c->w, 500000) ? 1 : -1;
    p->state = PRODUCER_READY;
    if (p->acks != 0 && !c->m->topics[topic].memory && world_chance(c->w, 700000)) {
        struct el_msg_init_producer_id_request ask;
        el_schema_init(&el_schema_init_producer_id_request, &ask);
        ask.transactional_id = (struct el_slice){0};
        p->state = PRODUCER_ASKS_ID;
        peer_send(&p->peer, EL_API_InitProducerId, peer_version(&p->peer, EL_API_InitProducerId), &ask, on_id, p);
    }
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

static void queue_drop(struct producer_client *p, uint32_t sent)
{
    for (uint32_t i = 0; i < p->queue_len; i++) {
        if (p->queue[i] == sent) {
            memmove(&p->queue[i], &p->queue[i + 1], sizeof(p->queue[0]) * (p->queue_len - i - 1));
            p->queue_len--;
            p->asked--;
            return;
        }
    }
}

static void stored(struct producer_client *p, struct sent *s, const struct el_msg_produce_partition_result *r)
{
    struct world *w = p->c->w;
    const struct model_topic *t = &p->c->m->topics[s->topic];
    model_acked(p->c->m, s, r->base_offset);
    if (t->stamped != (r->log_append_time_ms >= 0)) {
        world_violation(w, "batch %llu was answered with time %lld", (unsigned long long)s->id,
                        (long long)r->log_append_time_ms);
    }
    if (t->stamped && s->append_ns != 0 && r->log_append_time_ms != (int64_t)(s->append_ns / 1000000)) {
        world_violation(w, "batch %llu was stored at another time than answered", (unsigned long long)s->id);
    }
    if (r->log_start_offset >= 0) {
        model_see_start(p->c->m, s->topic, s->partition, r->log_start_offset);
    }
}

static void refused(struct producer_client *p, struct sent *s, uint32_t sent, int16_t code)
{
    struct world *w = p->c->w;
    bool gone = code == EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION || code == EL_KAFKA_UNKNOWN_TOPIC_ID;
    bool first = p->queue_len > 0 && p->queue[0] == sent;
    if (code == EL_KAFKA_MESSAGE_TOO_LARGE) { /* for the journal's slots */
        s->state = s->state == SENT_UNKNOWN ? SENT_REFUSED : s->state;
        retire(p);
        return;
    }
    if (code == EL_KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER && p->id >= 0 && p->proved && first) {
        world_violation(w, "producer %u: batch %llu follows the last one and was refused as out of order", p->index,
                        (unsigned long long)s->id);
    } else if (!gone && code != EL_KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER && code != EL_KAFKA_KAFKA_STORAGE_ERROR &&
               code != EL_KAFKA_REQUEST_TIMED_OUT && code != EL_KAFKA_NOT_LEADER_OR_FOLLOWER) {
        world_violation(w, "producer %u: batch %llu was refused: %s", p->index, (unsigned long long)s->id,
                        el_kafka_error_name(code));
    }
    if (gone && p->c->m->topics[p->topic].state == TOPIC_THERE) {
        world_violation(w, "producer %u: topic %u is not known", p->index, p->topic);
    }
    if (gone) {
        retire(p);
    } else if (p->id >= 0) {
        p->failed = true;
    } else {
        queue_drop(p, sent);
    }
}

static void answered(struct producer_client *p, const struct produce_flight *f,
                     const struct el_msg_produce_response *answer)
{
    struct world *w = p->c->w;
    struct sent *s = &p->c->m->sent[f->sent];
    p->c->answers++;
    if (answer->response_count != 1 || answer->responses[0].partition_response_count != 1 ||
        answer->responses[0].partition_responses[0].index != s->partition) {
        world_violation(w, "an answer to Produce is for other partitions");
        return;
    }
    const struct el_msg_produce_partition_result *r = &answer->responses[0].partition_responses[0];
    if (r->error_code != EL_KAFKA_NONE) {
        refused(p, s, f->sent, r->error_code);
        return;
    }
    stored(p, s, r);
    if (p->queue_len > 0 && p->queue[0] == f->sent) {
        queue_drop(p, f->sent);
        p->proved = true;
    } else if (p->state == PRODUCER_READY && !p->failed) {
        world_violation(w, "producer %u: batch %llu was answered before an earlier one", p->index,
                        (unsigned long long)s->id);
    }
}

static void on_produced(void *arg, const void *response)
{
    struct produce_flight *f = arg;
    struct producer_client *p = f->owner;
    f->busy = false;
    if (p->state == PRODUCER_READY && response != NULL) {
        answered(p, f, response);
    } else if (p->state == PRODUCER_READY && p->id < 0) {
        retire(p); /* lost with the connection */
    } else if (p->state == PRODUCER_READY) {
        p->failed = true;
    }
    if (p->failed && flights_busy(p) == 0) {
        p->failed = false;
        p->asked = 0;
    }
}

/* --- requests ----------------------------------------------------------------------------------------------------- */

/* The size follows from the id, so that a retry sends the same bytes. */
static uint32_t value_len_of(const struct sent *s)
{
    struct el_rng rng;
    el_rng_seed(&rng, s->id * 77);
    if (el_rng_chance(&rng, 3000)) {
        return 12 + (uint32_t)el_rng_below(&rng, 28000);
    }
    return 12 + (uint32_t)(el_rng_chance(&rng, 100000) ? el_rng_below(&rng, 5000) : el_rng_below(&rng, 200));
}

static void ask(struct producer_client *p, uint32_t sent)
{
    struct clients *c = p->c;
    struct sent *s = &c->m->sent[sent];
    struct produce_flight *f = NULL;
    for (uint32_t k = 0; k < CLIENT_WINDOW && f == NULL; k++) {
        f = p->flights[k].busy ? NULL : &p->flights[k];
    }
    EL_ASSERT(f != NULL);
    uint8_t *batch = malloc(BATCH_ROOM);
    EL_ASSERT(batch != NULL);
    struct el_msg_produce_request request;
    struct el_msg_produce_topic topic;
    struct el_msg_produce_partition partition;
    el_schema_init(&el_schema_produce_request, &request);
    el_schema_init(&el_schema_produce_topic, &topic);
    el_schema_init(&el_schema_produce_partition, &partition);
    partition.index = s->partition;
    partition.records = el_slice_of(batch, model_batch(c->m, s, p->id, value_len_of(s), batch, BATCH_ROOM));
    topic.name = el_slice_str(c->m->topics[s->topic].name);
    topic.topic_id = c->m->topics[s->topic].id;
    topic.partition_data = &partition;
    topic.partition_data_count = 1;
    request.transactional_id = (struct el_slice){0};
    request.acks = p->acks;
    request.timeout_ms = world_chance(c->w, 900000) ? 30000 : (int32_t)world_below(c->w, 50);
    request.topic_data = &topic;
    request.topic_data_count = 1;
    f->sent = sent;
    f->version = peer_version(&p->peer, EL_API_Produce);
    f->busy = p->acks != 0;
    peer_send(&p->peer, EL_API_Produce, f->version, &request, p->acks != 0 ? on_produced : NULL, f);
    free(batch);
}

void producer_act(struct producer_client *p)
{
    struct clients *c = p->c;
    if (!peer_can_ask(&p->peer)) {
        return;
    }
    if (p->state == PRODUCER_READY && p->acks == 0 && p->lost_before != p->peer.lost_count) {
        retire(p); /* nobody tells what of it has arrived, or will */
    }
    if (p->state == PRODUCER_NEW) {
        begin(p);
        return;
    }
    if (p->state != PRODUCER_READY || p->failed || flights_busy(p) == CLIENT_WINDOW) {
        return;
    }
    if (c->m->topics[p->topic].state != TOPIC_THERE) {
        retire(p);
        return;
    }
    if (p->asked < p->queue_len) { /* again, in order */
        c->repeats++;
        ask(p, p->queue[p->asked++]);
        return;
    }
    if (p->queue_len == CLIENT_WINDOW) {
        return;
    }
    if (world_chance(c->w, 3000) && p->queue_len == 0) {
        retire(p);
        return;
    }
    uint32_t records = 1 + (uint32_t)world_below(c->w, RECORDS_MAX);
    uint32_t sent = model_send(c->m, p->topic, p->partition, p->index, records, p->id < 0 ? -1 : p->next_sequence);
    p->next_sequence = el_sequence_add(p->next_sequence, (int32_t)records);
    if (p->acks != 0) {
        p->queue[p->queue_len++] = sent;
        p->asked++;
    }
    ask(p, sent);
}
