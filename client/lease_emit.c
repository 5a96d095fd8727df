/* SPDX-License-Identifier: Apache-2.0
 *
 * What handlers emit: kept with the lease, and published when its event is acknowledged.
 *
 *   1. evlog_emit() copies the event, with an id and a cause that are derived from the lease's
 *   2. the acknowledgement takes it along (lease_outcome.c): a broker that knows version 1 of LeaseOutcome publishes
 *      it exactly once
 *   3. for other brokers it is published first, by a producer of the group, and then the acknowledgement goes: at least
 *      once, under equal ids. The log says so once
 *
 * Any outcome but EVLOG_ACK forgets what was emitted.
 */
#include "fail.h"
#include "lease_state.h"

#include <core/alloc.h>
#include <stdio.h>

#define EMIT_COUNT_MAX 4096u
#define EMIT_OVERHEAD 64u /* of one in a request and in a batch, beside its bytes */
#define EMIT_HEADER_OVERHEAD 16u

/* --- copies ------------------------------------------------------------------------------------------------------- */

static struct evlog_bytes copy_bytes(char **place, struct evlog_bytes from)
{
    struct evlog_bytes to = {from.data == NULL ? NULL : *place, from.len};
    if (from.len > 0) {
        memcpy(*place, from.data, from.len);
        *place += from.len;
    }
    return to;
}

static size_t message_len(const struct evlog_message *message)
{
    size_t len = strlen(message->topic) + 1 + message->key.len + message->value.len;
    for (size_t i = 0; i < message->header_count; i++) {
        len += message->headers[i].key.len + message->headers[i].value.len;
    }
    return len;
}

/* returns NULL: no memory */
static struct el_emit *emit_new(const struct evlog_message *message)
{
    size_t headers_len = message->header_count * sizeof(struct evlog_header);
    struct el_emit *emit = el_calloc(1, sizeof *emit + headers_len + message_len(message));
    if (emit == NULL) {
        return NULL;
    }
    struct evlog_header *headers = (struct evlog_header *)(emit + 1);
    char *place = (char *)headers + headers_len;
    size_t topic_len = strlen(message->topic) + 1;
    memcpy(place, message->topic, topic_len);
    emit->message = *message;
    emit->message.topic = place;
    emit->message.headers = headers;
    place += topic_len;
    emit->message.key = copy_bytes(&place, message->key);
    emit->message.value = copy_bytes(&place, message->value);
    for (size_t i = 0; i < message->header_count; i++) {
        headers[i] = (struct evlog_header){copy_bytes(&place, message->headers[i].key),
                                           copy_bytes(&place, message->headers[i].value)};
    }
    return emit;
}

void el_emits_free(struct el_lease *lease)
{
    for (struct el_list *node = el_list_pop_front(&lease->emits); node != NULL;
         node = el_list_pop_front(&lease->emits)) {
        el_free(EL_CONTAINER(node, struct el_emit, link));
    }
    lease->emit_count = 0;
    lease->emit_len = 0;
}

int evlog_emit(struct evlog_group *group, const struct evlog_lease *given, const struct evlog_message *message,
               struct evlog_failure *failure)
{
    struct el_lease *lease = el_lease_of(given);
    struct evlog_message full = EVLOG_MESSAGE_INIT;
    if (!EL_OPTIONS_TAKE(&full, message) || full.topic == NULL) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "the message was not initialised, or has no topic");
    }
    full.size = sizeof full;
    const struct evlog_event *event = given->event;
    size_t len = strlen(group->name) + strlen(event->topic) + 64;
    char *id = el_malloc(len);
    struct evlog_linked_message *linked = NULL;
    if (id != NULL) {
        (void)snprintf(id, len, "%s/%s/%d/%lld/%u", group->name, event->topic, event->partition,
                       (long long)event->offset, lease->emit_count);
        struct evlog_trace_context context;
        bool traced = evlog_lease_trace(given, &context);
        linked = el_message_link(&full, event, id, traced ? &context : NULL);
        el_free(id);
    }
    const struct evlog_message *whole = linked == NULL ? NULL : evlog_linked_message(linked);
    size_t more = whole == NULL ? 0 : message_len(whole) + EMIT_OVERHEAD + whole->header_count * EMIT_HEADER_OVERHEAD;
    int rc = 0;
    if (whole == NULL) {
        rc = el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory to emit an event");
    } else if (lease->emit_count == EMIT_COUNT_MAX || lease->emit_len + more > EVLOG_EMIT_LEN_MAX) {
        rc = el_fail(failure, EVLOG_ERR_LIMIT,
                     "an event emits at most %u others of %u bytes together: publish more with a producer",
                     EMIT_COUNT_MAX, EVLOG_EMIT_LEN_MAX);
    }
    struct el_emit *emit = rc == 0 ? emit_new(whole) : NULL;
    if (rc == 0 && emit == NULL) {
        rc = el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory to emit an event");
    }
    if (rc == 0) {
        el_list_push_back(&lease->emits, &emit->link);
        lease->emit_count++;
        lease->emit_len += more;
    }
    evlog_linked_message_free(linked);
    return rc;
}

/* --- for brokers that do not publish ------------------------------------------------------------------------------ */

/* The broker is known, and does not take emits. Lock held. */
static bool broker_lacks(const struct el_lease *lease, struct evlog_group *group)
{
    int32_t node_id = lease->session->node_id;
    uint32_t lane = group->lane + 1;
    return el_conns_version(group->client, node_id, lane, EL_API_ShareFetch) >= 0 &&
           el_conns_version(group->client, node_id, lane, EL_API_LeaseOutcome) < EL_EMIT_VERSION_MIN;
}

static int producer_get(struct evlog_group *group, struct evlog_producer **producer, struct evlog_failure *failure)
{
    struct evlog_producer *fresh = NULL;
    el_client_lock(group->client);
    *producer = group->producer;
    el_client_unlock(group->client);
    if (*producer != NULL) {
        return 0;
    }
    int rc = evlog_producer_open(group->client, &fresh, failure);
    if (rc != 0) {
        return rc;
    }
    el_client_lock(group->client);
    bool first = group->producer == NULL;
    group->producer = first ? fresh : group->producer;
    *producer = group->producer;
    if (first) {
        el_client_log(group->client, EVLOG_LOG_WARNING,
                      "work group %.100s: the broker does not publish what is emitted with an acknowledgement: it is "
                      "published before that, at least once",
                      group->name);
    }
    el_client_unlock(group->client);
    if (!first) {
        evlog_producer_close(fresh);
    }
    return 0;
}

/* Up to the first that fails; those that were published are none of the lease any more. */
static int publish_all(struct evlog_group *group, struct el_lease *lease, struct evlog_failure *failure)
{
    struct evlog_producer *producer;
    uint32_t count = 0;
    int rc = producer_get(group, &producer, failure);
    EL_LIST_EACH(node, &lease->emits) {
        if (rc == 0) {
            rc = evlog_publish(producer, &EL_CONTAINER(node, struct el_emit, link)->message, NULL, failure);
            count += rc == 0;
        }
    }
    EL_ASSERT(count <= lease->emit_count);
    lease->emit_count -= count;
    el_client_lock(group->client);
    group->emits.emitted += count;
    el_client_unlock(group->client);
    return rc;
}

void el_emits_refused(struct evlog_group *group, const struct el_lease *lease, const struct evlog_failure *why)
{
    group->emits.refused += lease->emit_count;
    group->emits.refusal = *why;
}

void evlog_emit_counts(struct evlog_group *group, struct evlog_emit_counts *counts)
{
    el_client_lock(group->client);
    struct evlog_emit_counts full = group->emits;
    el_client_unlock(group->client);
    full.size = counts->size;
    memcpy(counts, &full, EL_MIN(counts->size, sizeof full));
}

void el_emits_prepare(struct evlog_group *group, struct el_lease *lease)
{
    struct evlog_failure why = EVLOG_FAILURE_INIT;
    el_client_lock(group->client);
    bool lacks = !el_lease_is_over(lease) && broker_lacks(lease, group);
    el_client_unlock(group->client);
    if (!lacks) {
        return;
    }
    if (publish_all(group, lease, &why) != 0) {
        lease->emit_failure = why;
        el_client_lock(group->client);
        el_emits_refused(group, lease, &why);
        el_client_unlock(group->client);
    }
    el_emits_free(lease);
}

/* --- in a request ------------------------------------------------------------------------------------------------- */

static struct el_slice slice_of(struct el_arena *arena, struct evlog_bytes bytes, bool *good)
{
    uint8_t *copy = el_arena_alloc(arena, EL_MAX(bytes.len, (size_t)1));
    *good = *good && copy != NULL;
    if (bytes.data == NULL || copy == NULL) {
        return el_slice_of(NULL, 0);
    }
    if (bytes.len > 0) {
        memcpy(copy, bytes.data, bytes.len);
    }
    return el_slice_of(copy, bytes.len);
}

bool el_emits_fill(struct el_arena *arena, const struct el_lease *lease, struct el_msg_ext_lease_outcome_range *range)
{
    struct el_msg_ext_lease_outcome_emit *emits = el_schema_new(&el_schema_ext_lease_outcome_emit, arena,
                                                                lease->emit_count);
    bool good = emits != NULL;
    uint32_t i = 0;
    EL_LIST_EACH(node, &lease->emits) {
        if (!good) {
            return false;
        }
        const struct evlog_message *message = &EL_CONTAINER(node, struct el_emit, link)->message;
        struct el_msg_ext_lease_outcome_emit *to = &emits[i++];
        char *topic = el_arena_strndup(arena, message->topic, strlen(message->topic));
        good = topic != NULL;
        to->topic = good ? el_slice_str(topic) : (struct el_slice){0};
        to->partition = message->partition;
        to->time = message->timestamp_ms;
        to->key = slice_of(arena, message->key, &good);
        to->value = slice_of(arena, message->value, &good);
        to->headers = el_schema_new(&el_schema_ext_lease_outcome_header, arena,
                                    EL_MAX((uint32_t)message->header_count, 1u));
        good = good && to->headers != NULL;
        for (size_t n = 0; good && n < message->header_count; n++) {
            to->headers[n].name = slice_of(arena, message->headers[n].key, &good);
            to->headers[n].value = slice_of(arena, message->headers[n].value, &good);
            to->header_count++;
        }
    }
    range->emits = emits;
    range->emit_count = i;
    return good;
}
