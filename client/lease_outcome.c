/* SPDX-License-Identifier: Apache-2.0
 *
 * Outcomes of leases on their way to the broker. Internal thread of the client, lock held; el_outcome_queue() from any.
 *
 * 1. An outcome is queued at the session of its lease. A request takes up to OUTCOMES_MAX of one sort: what any broker
 *    understands (ShareAcknowledge), extensions (the same, by themselves: older brokers refuse them), and failures
 *    with what belongs to them (LeaseOutcome, where the broker lists it; elsewhere a failure makes the event available
 *    again).
 * 2. The answer has a code for each partition, and all outcomes of a partition are taken or none: when one of several
 *    was refused, each is sent again by itself, so that it alone fails.
 * 3. A lost session ends them all: the broker has taken the leases back.
 */
#include "fail.h"
#include "lease_state.h"

#include <core/alloc.h>
#include <core/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <wire/error_code.h>

#define OUTCOMES_MAX 2000u
#define EXTEND_VERSION_MIN 2    /* of ShareAcknowledge */
#define EMIT_LEN_MAX (4u << 20) /* of what is emitted by the outcomes of one request, but for the first */

enum sort { SORT_PLAIN, SORT_EXTEND, SORT_FULL };

/* --- the end ------------------------------------------------------------------------------------------------------ */

static void count_end(struct evlog_group *group, const struct el_outcome *outcome, bool ok)
{
    struct evlog_group_counts *counts = &group->counts;
    counts->lost += !ok;
    counts->acked += ok && outcome->kind == EL_OUTCOME_ACCEPT;
    counts->nacked += ok && outcome->kind == EL_OUTCOME_FAIL;
    counts->dead += ok && outcome->kind == EL_OUTCOME_REJECT;
    counts->released += ok && outcome->kind == EL_OUTCOME_RELEASE;
    group->emits.emitted += ok && outcome->kind == EL_OUTCOME_ACCEPT ? outcome->lease->emit_count : 0;
}

static void end_extension(struct evlog_group *group, struct el_lease *lease, const struct evlog_failure *failure)
{
    lease->extending = false;
    if (failure == NULL) {
        lease->deadline_ns = el_now_ns() + lease->lease_ns;
    } else if (failure->code == EVLOG_ERR_LEASE) {
        lease->over = true;
    } else if (failure->code == EVLOG_ERR_UNSUPPORTED) {
        lease->keep_until_ns = 0;
    }
    group->keep_at_ns = EL_MIN(group->keep_at_ns, lease->deadline_ns - lease->lease_ns / 2);
}

void el_outcome_end(struct evlog_group *group, struct el_outcome *outcome, const struct evlog_failure *failure)
{
    struct el_outcome_wait *wait = outcome->wait;
    struct el_lease *lease = outcome->lease;
    el_outcome_unqueue(outcome);
    outcome->wait = NULL;
    if (wait != NULL) {
        EL_ASSERT(wait->left > 0);
        if (failure != NULL && wait->failure.code == 0) {
            wait->failure = *failure;
        }
        wait->left--;
    }
    if (lease != NULL && outcome == &lease->extension) {
        end_extension(group, lease, failure);
    } else if (lease != NULL) {
        count_end(group, outcome, failure == NULL);
        el_span_end_code(lease->settling, failure == NULL ? 0 : failure->code, failure == NULL ? NULL : failure->text);
        lease->settling = NULL;
        el_list_remove(&lease->link);
        el_lease_free(lease);
    } else {
        outcome->source->use_count--;
        el_free(outcome);
    }
    el_client_notify(group->client);
}

static void requeue(struct el_lease_session *session, struct el_outcome *outcome)
{
    el_list_push_back(&session->outcomes, &outcome->link);
    outcome->queued = true;
}

void el_outcome_queue(struct evlog_group *group, struct el_lease_session *session, uint64_t session_number,
                      struct el_outcome *outcome)
{
    EL_ASSERT(el_list_empty(&outcome->link));
    if (session->number != session_number || session->epoch == 0) {
        struct evlog_failure over = EVLOG_FAILURE_INIT;
        (void)el_fail(&over, EVLOG_ERR_LEASE, "work group %.100s: the session of this lease is lost", group->name);
        el_outcome_end(group, outcome, &over);
        return;
    }
    requeue(session, outcome);
    el_client_wake(group->client);
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

static void end_all(struct evlog_group *group, struct el_lease_call *its, const struct evlog_failure *failure)
{
    while (!el_list_empty(&its->outcomes)) {
        el_outcome_end(group, EL_CONTAINER(its->outcomes.next, struct el_outcome, link), failure);
    }
}

static bool is_in(const struct el_outcome *outcome, const struct el_uuid *topic_id, int32_t partition)
{
    return outcome->source->partition == partition && el_uuid_eq(&outcome->source->topic_id, topic_id);
}

static bool emits(const struct el_outcome *outcome)
{
    return outcome->kind == EL_OUTCOME_ACCEPT && outcome->lease != NULL && outcome->lease->emit_count > 0;
}

/* What was to be emitted may not be: the lease holds, and the event has failed. Whoever waits is told why. */
static void emits_refused(struct evlog_group *group, struct el_lease_session *session, struct el_outcome *outcome,
                          const struct evlog_failure *why)
{
    el_emits_refused(group, outcome->lease, why);
    struct evlog_settlement failed = {&outcome->lease->lease, EVLOG_NACK, -1, "emit", why->text};
    outcome->kind = EL_OUTCOME_FAIL;
    el_emits_free(outcome->lease);
    el_outcome_texts(outcome, &failed);
    if (outcome->wait != NULL && outcome->wait->failure.code == 0) {
        outcome->wait->failure = *why;
    }
    outcome->alone = true;
    el_list_remove(&outcome->link);
    requeue(session, outcome);
}

/* The answer to the outcomes of a partition. */
struct partition_end {
    const struct el_uuid *topic_id;
    int32_t partition;
    int kafka_code;
    bool emits_refused;
    struct el_slice message;
};

/* The topic that the broker says what was emitted may not be written to; else the source. */
static void name_right(const struct evlog_group *group, struct el_slice message, struct evlog_failure *why)
{
    static const char about_emit[] = "no right to write to ";
    char name[EL_TOPIC_NAME_MAX + 1];
    size_t skip = strlen(about_emit);
    if (message.len > skip && memcmp(message.data, about_emit, skip) == 0) {
        size_t len = 0;
        while (skip + len < message.len && message.data[skip + len] != ':') {
            len++;
        }
        (void)snprintf(name, sizeof name, "%.*s", (int)len, (const char *)message.data + skip);
        el_fail_right(why, "write topic", name);
        return;
    }
    el_fail_right(why, "read topic", group->topic_count == 1 ? group->topics[0] : NULL);
}

/* A partition's code: end its outcomes, or send each by itself. */
static void end_partition(struct el_lease_call *its, const struct partition_end *end)
{
    const struct el_uuid *topic_id = end->topic_id;
    int32_t partition = end->partition;
    int kafka_code = end->kafka_code;
    struct evlog_group *group = its->group;
    struct evlog_failure why = EVLOG_FAILURE_INIT;
    uint32_t count = 0;
    EL_LIST_EACH(node, &its->outcomes) {
        count += is_in(EL_CONTAINER(node, struct el_outcome, link), topic_id, partition);
    }
    if (kafka_code != 0) {
        (void)el_fail_kafka(&why, kafka_code, end->message, "outcome of a lease");
        name_right(group, end->message, &why);
    }
    if (kafka_code == EL_KAFKA_NOT_LEADER_OR_FOLLOWER || kafka_code == EL_KAFKA_UNKNOWN_TOPIC_ID) {
        el_cluster_suspect(group->client);
    }
    EL_LIST_EACH_SAFE(node, following, &its->outcomes) {
        struct el_outcome *outcome = EL_CONTAINER(node, struct el_outcome, link);
        if (!is_in(outcome, topic_id, partition)) {
            continue;
        }
        bool outdated = outcome->kind == EL_OUTCOME_EXTEND && !el_list_empty(&outcome->lease->outcome.link);
        if (end->emits_refused && count == 1 && emits(outcome)) {
            emits_refused(group, its->session, outcome, &why);
        } else if ((kafka_code == EL_KAFKA_INVALID_RECORD_STATE || end->emits_refused) && count > 1 && !outdated) {
            outcome->alone = true;
            el_list_remove(&outcome->link);
            requeue(its->session, outcome);
        } else {
            el_outcome_end(group, outcome, kafka_code == 0 ? NULL : &why);
        }
    }
}

/* Ends an answer that is good as a whole: what it does not speak of has failed. */
static void end_rest(struct el_lease_call *its)
{
    struct evlog_failure why = EVLOG_FAILURE_INIT;
    if (!el_list_empty(&its->outcomes)) {
        (void)el_fail(&why, EVLOG_ERR_MALFORMED, "the broker's answer leaves out the outcome of a lease");
        end_all(its->group, its, &why);
    }
}

/* The request failed on its way, or as a whole. */
static void whole_failed(struct el_lease_call *its, const struct evlog_failure *why)
{
    struct evlog_failure full = *why;
    full.in_doubt = its->call.sent;
    el_lease_session_lost(its->group, its->session, why);
    end_all(its->group, its, &full);
}

/* Is the answer of use? returns false when it was dealt with */
static bool usable(struct el_lease_call *its, void *response)
{
    struct evlog_failure why = EVLOG_FAILURE_INIT;
    if (its->session_number != its->session->number) {
        (void)el_fail(&why, EVLOG_ERR_LEASE, "work group %.100s: the session of this lease is lost", its->group->name);
        why.in_doubt = its->call.sent;
        end_all(its->group, its, &why);
        return false;
    }
    if (its->call.failure.code != 0) {
        whole_failed(its, &its->call.failure);
        return false;
    }
    if (el_call_decode(&its->call, response, &why) != 0) {
        whole_failed(its, &why);
        return false;
    }
    return true;
}

static void acknowledge_on_done(struct evlog_client *client, struct el_call *call)
{
    (void)client;
    struct el_lease_call *its = call->arg;
    struct el_msg_share_acknowledge_response response;
    struct evlog_failure why = EVLOG_FAILURE_INIT;
    if (!el_lease_call_arrived(its)) {
        return;
    }
    if (!usable(its, &response)) {
        /* Told to all. */
    } else if (response.error_code != 0) {
        (void)el_fail_kafka(&why, response.error_code, response.error_message, "outcomes of leases");
        el_fail_right(&why, "read group", its->group->name);
        whole_failed(its, &why);
    } else {
        for (uint32_t i = 0; i < response.response_count; i++) {
            const struct el_msg_share_acknowledge_topic_result *topic = &response.responses[i];
            for (uint32_t j = 0; j < topic->partition_count; j++) {
                const struct el_msg_share_acknowledge_partition_result *part = &topic->partitions[j];
                end_partition(its, &(struct partition_end){.topic_id = &topic->topic_id,
                                                           .partition = part->partition_index,
                                                           .kafka_code = part->error_code,
                                                           .message = part->error_message});
            }
        }
        end_rest(its);
    }
    el_lease_call_free(its);
}

static void full_on_done(struct evlog_client *client, struct el_call *call)
{
    (void)client;
    struct el_lease_call *its = call->arg;
    struct el_msg_ext_lease_outcome_response response;
    struct evlog_failure why = EVLOG_FAILURE_INIT;
    if (!el_lease_call_arrived(its)) {
        return;
    }
    if (!usable(its, &response)) {
        /* Told to all. */
    } else if (response.error != 0) {
        (void)el_fail_kafka(&why, response.error, response.message, "outcomes of leases");
        el_fail_right(&why, "read group", its->group->name);
        whole_failed(its, &why);
    } else {
        for (uint32_t i = 0; i < response.topic_count; i++) {
            const struct el_msg_ext_lease_outcome_topic_result *topic = &response.topics[i];
            for (uint32_t j = 0; j < topic->partition_count; j++) {
                const struct el_msg_ext_lease_outcome_partition_result *part = &topic->partitions[j];
                end_partition(its, &(struct partition_end){.topic_id = &topic->topic_id,
                                                           .partition = part->partition,
                                                           .kafka_code = part->error,
                                                           .emits_refused = part->emits_refused,
                                                           .message = part->message});
            }
        }
        end_rest(its);
    }
    el_lease_call_free(its);
}

/* --- requests ----------------------------------------------------------------------------------------------------- */

static enum sort sort_of(const struct el_outcome *outcome, bool has_full)
{
    if (outcome->kind == EL_OUTCOME_EXTEND) {
        return SORT_EXTEND;
    }
    bool says_more = outcome->kind == EL_OUTCOME_FAIL || emits(outcome) ||
                     (outcome->kind == EL_OUTCOME_REJECT && (outcome->reason != NULL || outcome->error != NULL));
    return says_more && has_full ? SORT_FULL : SORT_PLAIN;
}

/* Take outcomes of one sort from the session: the first's. */
static uint32_t take(struct el_lease_session *session, enum sort sort, bool has_full, struct el_lease_call *its)
{
    uint32_t count = 0;
    size_t emit_len = 0;
    EL_LIST_EACH_SAFE(node, following, &session->outcomes) {
        struct el_outcome *outcome = EL_CONTAINER(node, struct el_outcome, link);
        size_t len = emits(outcome) ? outcome->lease->emit_len : 0;
        if (sort_of(outcome, has_full) != sort || (outcome->alone && count > 0) ||
            (count > 0 && emit_len + len > EMIT_LEN_MAX)) {
            continue;
        }
        emit_len += len;
        el_outcome_unqueue(outcome);
        el_list_push_back(&its->outcomes, &outcome->link);
        if (++count == OUTCOMES_MAX || outcome->alone) {
            break;
        }
    }
    return count;
}

static int compare_outcomes(const void *a, const void *b)
{
    const struct el_outcome *x = *(const struct el_outcome *const *)a, *y = *(const struct el_outcome *const *)b;
    int order = memcmp(&x->source->topic_id, &y->source->topic_id, sizeof x->source->topic_id);
    order = order != 0 ? order
                       : (x->source->partition > y->source->partition) - (x->source->partition < y->source->partition);
    return order != 0 ? order : (x->first > y->first) - (x->first < y->first);
}

/* The outcomes of a call by topic, partition, offset. returns NULL: no memory */
static struct el_outcome **sorted(struct el_lease_call *its, uint32_t count)
{
    struct el_outcome **all = el_arena_alloc(&its->arena, (count + 1) * sizeof(struct el_outcome *));
    uint32_t i = 0;
    if (all != NULL) {
        EL_LIST_EACH(node, &its->outcomes) {
            all[i++] = EL_CONTAINER(node, struct el_outcome, link);
        }
        EL_ASSERT(i == count);
        qsort(all, count, sizeof *all, compare_outcomes);
    }
    return all;
}

static bool new_topic(struct el_outcome *const *all, uint32_t i)
{
    return i == 0 || !el_uuid_eq(&all[i]->source->topic_id, &all[i - 1]->source->topic_id);
}

static bool new_partition(struct el_outcome *const *all, uint32_t i)
{
    return new_topic(all, i) || all[i]->source->partition != all[i - 1]->source->partition;
}

/* What ShareAcknowledge calls it. */
static int8_t type_of(const struct el_outcome *outcome)
{
    return (int8_t)(outcome->kind == EL_OUTCOME_FAIL ? EL_OUTCOME_RELEASE : outcome->kind);
}

static int fill_acknowledge(struct el_lease_call *its, struct el_outcome *const *all, uint32_t count)
{
    struct el_msg_share_acknowledge_request *request = &its->request.acknowledge;
    struct el_msg_share_acknowledge_topic *topics = el_schema_new(&el_schema_share_acknowledge_topic, &its->arena,
                                                                  count);
    struct el_msg_share_acknowledge_partition *parts = el_schema_new(&el_schema_share_acknowledge_partition,
                                                                     &its->arena, count);
    struct el_msg_share_acknowledge_batch *batches = el_schema_new(&el_schema_share_acknowledge_batch, &its->arena,
                                                                   count);
    int8_t *types = el_arena_alloc(&its->arena, count);
    if (topics == NULL || parts == NULL || batches == NULL || types == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    struct el_msg_share_acknowledge_topic *topic = topics - 1;
    struct el_msg_share_acknowledge_partition *part = parts - 1;
    uint32_t used = 0;
    for (uint32_t i = 0; i < count; i++) {
        bool fresh = new_partition(all, i);
        if (new_topic(all, i)) {
            topic++;
            topic->topic_id = all[i]->source->topic_id;
            topic->partitions = part + 1;
        }
        if (fresh) {
            part++;
            part->partition_index = all[i]->source->partition;
            part->acknowledgement_batches = &batches[used];
            topic->partition_count++;
        }
        if (!fresh && batches[used - 1].last_offset + 1 == all[i]->first && types[used - 1] == type_of(all[i])) {
            batches[used - 1].last_offset = all[i]->last;
            continue;
        }
        types[used] = type_of(all[i]);
        batches[used].first_offset = all[i]->first;
        batches[used].last_offset = all[i]->last;
        batches[used].acknowledge_types = &types[used];
        batches[used].acknowledge_type_count = 1;
        part->acknowledgement_batch_count++;
        used++;
    }
    request->topics = topics;
    request->topic_count = (uint32_t)(topic - topics) + 1;
    return 0;
}

/* A copy, since a request may outlive its outcome; without memory the text is left out. */
static struct el_slice text_or_null(struct el_arena *arena, const char *text)
{
    const char *copy = text == NULL || text[0] == '\0' ? NULL : el_arena_strndup(arena, text, strlen(text));
    return copy == NULL ? el_slice_of(NULL, 0) : el_slice_str(copy);
}

static int fill_full(struct el_lease_call *its, struct el_outcome *const *all, uint32_t count)
{
    struct el_msg_ext_lease_outcome_request *request = &its->request.outcome;
    struct el_msg_ext_lease_outcome_topic *topics = el_schema_new(&el_schema_ext_lease_outcome_topic, &its->arena,
                                                                  count);
    struct el_msg_ext_lease_outcome_partition *parts = el_schema_new(&el_schema_ext_lease_outcome_partition,
                                                                     &its->arena, count);
    struct el_msg_ext_lease_outcome_range *ranges = el_schema_new(&el_schema_ext_lease_outcome_range, &its->arena,
                                                                  count);
    if (topics == NULL || parts == NULL || ranges == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    struct el_msg_ext_lease_outcome_topic *topic = topics - 1;
    struct el_msg_ext_lease_outcome_partition *part = parts - 1;
    for (uint32_t i = 0; i < count; i++) {
        if (new_topic(all, i)) {
            topic++;
            topic->topic_id = all[i]->source->topic_id;
            topic->partitions = part + 1;
        }
        if (new_partition(all, i)) {
            part++;
            part->partition = all[i]->source->partition;
            part->outcomes = &ranges[i];
            topic->partition_count++;
        }
        ranges[i].kind = (int8_t)all[i]->kind;
        ranges[i].first = all[i]->first;
        ranges[i].last = all[i]->last;
        ranges[i].delay_ms = all[i]->delay_ms;
        ranges[i].reason = text_or_null(&its->arena, all[i]->reason);
        ranges[i].error = text_or_null(&its->arena, all[i]->error);
        if (emits(all[i]) && !el_emits_fill(&its->arena, all[i]->lease, &ranges[i])) {
            return EVLOG_ERR_NO_MEMORY;
        }
        part->outcome_count++;
    }
    request->topics = topics;
    request->topic_count = (uint32_t)(topic - topics) + 1;
    return 0;
}

/* Fill the request of a call that holds outcomes. */
static int fill(struct evlog_group *group, struct el_lease_call *its, enum sort sort, uint32_t count)
{
    struct el_outcome **all = sorted(its, count);
    char *name = el_arena_strndup(&its->arena, group->name, strlen(group->name));
    char *member = el_arena_strndup(&its->arena, group->member_id, strlen(group->member_id));
    if (all == NULL || name == NULL || member == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    if (sort == SORT_FULL) {
        el_schema_init(&el_schema_ext_lease_outcome_request, &its->request.outcome);
        its->request.outcome.group = el_slice_str(name);
        its->request.outcome.member = el_slice_str(member);
        return fill_full(its, all, count);
    }
    el_schema_init(&el_schema_share_acknowledge_request, &its->request.acknowledge);
    its->request.acknowledge.group_id = el_slice_str(name);
    its->request.acknowledge.member_id = el_slice_str(member);
    its->request.acknowledge.is_renew_ack = sort == SORT_EXTEND;
    return fill_acknowledge(its, all, count);
}

int el_outcomes_send(struct evlog_group *group, struct el_lease_session *session)
{
    const struct el_outcome *first = EL_CONTAINER(session->outcomes.next, struct el_outcome, link);
    bool has_full = el_conns_version(group->client, session->node_id, group->lane + 1, EL_API_LeaseOutcome) >= 0;
    enum sort sort = sort_of(first, has_full);
    if (emits(first) && el_conns_version(group->client, session->node_id, group->lane + 1, EL_API_LeaseOutcome) <
                            EL_EMIT_VERSION_MIN) { /* it could when the event was acknowledged */
        struct evlog_failure why = EVLOG_FAILURE_INIT;
        (void)el_fail(&why, EVLOG_ERR_UNSUPPORTED, "the broker does not publish what is emitted any more");
        emits_refused(group, session, EL_CONTAINER(session->outcomes.next, struct el_outcome, link), &why);
        el_client_wake(group->client);
        return 0;
    }
    if (sort == SORT_EXTEND && el_conns_version(group->client, session->node_id, group->lane + 1,
                                                EL_API_ShareAcknowledge) < EXTEND_VERSION_MIN) {
        struct evlog_failure why = EVLOG_FAILURE_INIT;
        (void)el_fail(&why, EVLOG_ERR_UNSUPPORTED, "the broker cannot extend leases");
        el_outcome_end(group, EL_CONTAINER(session->outcomes.next, struct el_outcome, link), &why);
        el_client_wake(group->client); /* the others: at the next turn */
        return 0;
    }
    struct el_lease_call *its = sort == SORT_FULL
                                    ? el_lease_call_new(group, session, EL_API_LeaseOutcome, full_on_done)
                                    : el_lease_call_new(group, session, EL_API_ShareAcknowledge, acknowledge_on_done);
    if (its == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    uint32_t count = take(session, sort, has_full, its);
    EL_ASSERT(count > 0);
    int rc = fill(group, its, sort, count);
    if (rc != 0) {
        while (!el_list_empty(&its->outcomes)) {
            requeue(session, EL_CONTAINER(el_list_pop_front(&its->outcomes), struct el_outcome, link));
        }
        el_lease_call_free(its);
        return rc;
    }
    if (sort != SORT_FULL) {
        its->request.acknowledge.share_session_epoch = el_lease_session_epoch(session);
    }
    el_lease_call_submit(its, &session->telling);
    return 0;
}
