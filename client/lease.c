/* SPDX-License-Identifier: Apache-2.0
 *
 * The public face of a member of a work group: open, fetch, outcomes, close. Any thread; one at a time fetches.
 *
 * 1. evlog_group_open() hands a membership to the internal thread, which joins the group.
 * 2. evlog_group_fetch() takes leases that are at hand; when there are none it says how many it wants, which makes the
 *    internal thread fetch, and waits.
 * 3. An outcome is queued at the lease's session; who waits for it sleeps until the last one has ended.
 * 4. evlog_group_close() lets the internal thread send what is queued, close the sessions (which releases what is
 *    leased) and leave, then frees everything.
 *
 * A failure ends the call, not the membership, unless the group does not take this member: then every call says so.
 */
#include "fail.h"
#include "lease_state.h"

#include <core/alloc.h>
#include <core/limits.h>
#include <core/utf8.h>
#include <stdio.h>

#define TOPIC_COUNT_MAX 10000
#define GROUP_LEN_MAX 32767
#define FETCH_COUNT_MAX 100000
#define DELAY_MS_MAX (366ll * 86400 * 1000)

/* --- open -------------------------------------------------------------------------------------------------------- */

static int check_topics(const struct evlog_group_options *options, struct evlog_failure *failure)
{
    if (options->topic_count == 0 || options->topic_count > TOPIC_COUNT_MAX) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "a work group reads 1 to %d topics", TOPIC_COUNT_MAX);
    }
    for (size_t i = 0; i < options->topic_count; i++) {
        const char *name = options->topics[i];
        size_t len = name == NULL ? 0 : strlen(name);
        if (len == 0 || len > EL_TOPIC_NAME_MAX) {
            return el_fail(failure, EVLOG_ERR_INVALID_TOPIC, "a topic's name has 1 to %d characters",
                           EL_TOPIC_NAME_MAX);
        }
        if (strchr(name, '*') != NULL) {
            return el_fail(failure, EVLOG_ERR_INVALID_TOPIC, "%s: work groups read topics by their names", name);
        }
    }
    return 0;
}

static int copy_names(struct evlog_group *fresh, const struct evlog_group_options *options, const char *name)
{
    fresh->name = el_strdup(name);
    fresh->topics = el_calloc(options->topic_count, sizeof(char *));
    bool ok = fresh->name != NULL && fresh->topics != NULL;
    for (size_t i = 0; ok && i < options->topic_count; i++) {
        fresh->topics[i] = el_strdup(options->topics[i]);
        fresh->topic_count++;
        ok = fresh->topics[i] != NULL;
    }
    return ok ? 0 : EVLOG_ERR_NO_MEMORY;
}

void el_lease_free(struct el_lease *lease)
{
    EL_ASSERT(el_list_empty(&lease->outcome.link));
    EL_ASSERT(el_list_empty(&lease->extension.link));
    EL_ASSERT(lease->source->use_count > 0);
    lease->source->use_count--;
    el_span_end(lease->handling, "released", NULL);
    el_span_end(lease->settling, "unconfirmed", NULL);
    el_free(lease->outcome.reason); /* one block with the error's text */
    el_emits_free(lease);
    el_free(lease);
}

static void free_leases(struct el_list *list)
{
    for (struct el_list *node = el_list_pop_front(list); node != NULL; node = el_list_pop_front(list)) {
        struct el_lease *lease = EL_CONTAINER(node, struct el_lease, link);
        el_list_remove(&lease->outcome.link);
        el_list_remove(&lease->extension.link);
        el_lease_free(lease);
    }
}

/* Everything, whatever state it is in; no request may be on its way any more. */
static void group_free(struct evlog_group *group)
{
    EL_ASSERT(el_list_empty(&group->calls));
    for (struct el_list *node = el_list_pop_front(&group->answers); node != NULL;
         node = el_list_pop_front(&group->answers)) {
        el_lease_call_free(EL_CONTAINER(node, struct el_lease_call, link));
    }
    free_leases(&group->ready);
    free_leases(&group->held);
    free_leases(&group->settling);
    for (struct el_list *node = el_list_pop_front(&group->sessions); node != NULL;
         node = el_list_pop_front(&group->sessions)) {
        struct el_lease_session *session = EL_CONTAINER(node, struct el_lease_session, link);
        while (!el_list_empty(&session->outcomes)) { /* of ranges without events */
            el_outcome_end(group, EL_CONTAINER(session->outcomes.next, struct el_outcome, link), &group->trouble);
        }
        el_free(session);
    }
    while (!el_list_empty(&group->sources)) {
        el_source_free(EL_CONTAINER(group->sources.next, struct el_lease_source, link));
    }
    for (uint32_t i = 0; group->topics != NULL && i < group->topic_count; i++) {
        el_free(group->topics[i]);
    }
    el_free(group->topics);
    el_free(group->name);
    el_free(group->scratch);
    el_free(group);
}

int evlog_group_open(struct evlog_client *client, const struct evlog_group_options *given, struct evlog_group **group,
                     struct evlog_failure *failure)
{
    struct evlog_group_options full = EVLOG_GROUP_OPTIONS_INIT;
    if (!EL_OPTIONS_TAKE(&full, given)) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "the options were not initialised");
    }
    const char *name = full.group == NULL ? client->cfg.group : full.group;
    if (name[0] == '\0' || strlen(name) > GROUP_LEN_MAX) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "the options name no group, and group.id is not set");
    }
    int rc = check_topics(&full, failure);
    if (rc == 0 && full.setting_count > 0) {
        rc = evlog_group_set(client, name, full.settings, full.setting_count, false, failure);
    }
    if (rc != 0) {
        return rc;
    }
    struct evlog_group *fresh = el_calloc(1, sizeof *fresh);
    if (fresh == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a work group");
    }
    fresh->client = client;
    el_client_lock(client);
    el_group_init(fresh);
    el_client_unlock(client);
    if (copy_names(fresh, &full, name) != 0) {
        group_free(fresh);
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a work group");
    }
    el_client_lock(client);
    fresh->lane = client->lane_next;
    client->lane_next += 2;
    el_list_push_back(&client->groups, &fresh->link);
    el_cluster_suspect(client);
    el_client_unlock(client);
    *group = fresh;
    return 0;
}

/* --- fetch -------------------------------------------------------------------------------------------------------- */

/* Leases nobody took in time have ended, or were lost with their session. */
static void drop_over(struct evlog_group *group, int64_t now_ns)
{
    EL_LIST_EACH_SAFE(node, following, &group->ready) {
        struct el_lease *lease = EL_CONTAINER(node, struct el_lease, link);
        if (el_lease_is_over(lease) || lease->deadline_ns <= now_ns) {
            el_list_remove(&lease->link);
            group->counts.lost++;
            group->counts.leased--;
            el_lease_free(lease);
        }
    }
}

static int take_ready(struct evlog_group *group, size_t count_max, const struct evlog_lease **leases)
{
    int count = 0;
    drop_over(group, el_now_ns());
    while ((size_t)count < count_max && !el_list_empty(&group->ready)) {
        struct el_lease *lease = EL_CONTAINER(el_list_pop_front(&group->ready), struct el_lease, link);
        el_list_push_back(&group->held, &lease->link);
        lease->handling = el_span_process(group->client, &lease->event, group->name, lease->lease.attempt);
        leases[count++] = &lease->lease;
    }
    return count;
}

/* What keeps leases from coming, for good or for long. returns 0 | negative */
static int what_fails(const struct evlog_group *group, int64_t now_ns, struct evlog_failure *failure)
{
    const struct evlog_client *client = group->client;
    if (client->stopping || !(el_group_works(group) || group->sm.state == EL_GROUP_FAILED)) {
        return el_fail(failure, EVLOG_ERR_CLOSED, "the client or the work group is closed");
    }
    if (group->sm.state == EL_GROUP_FAILED) {
        return el_fail_copy(failure, &group->failure);
    }
    bool long_enough = group->trouble_ns != 0 &&
                       now_ns - group->trouble_ns >= client->cfg.request_timeout_ms * EL_NS_PER_MS;
    return long_enough ? el_fail_copy(failure, &group->trouble) : 0;
}

/* Say what is wanted and wait once. Lock held. */
static void await(struct evlog_group *group, size_t count_max, bool keeps_asking, int64_t deadline_ns)
{
    int64_t wanted_until_ns = keeps_asking ? EL_NEVER_NS : deadline_ns;
    if (group->wanted_count != count_max || group->wanted_until_ns != wanted_until_ns) {
        group->wanted_count = (uint32_t)count_max;
        group->wanted_until_ns = wanted_until_ns;
        el_client_wake(group->client);
    }
    int64_t until_ns = group->trouble_ns == 0
                           ? EL_NEVER_NS
                           : group->trouble_ns + group->client->cfg.request_timeout_ms * EL_NS_PER_MS;
    if (!keeps_asking) {
        (void)el_client_wait(group->client, EL_MIN(deadline_ns, until_ns));
    }
}

int evlog_group_fetch(struct evlog_group *group, size_t count_max, int timeout_ms, const struct evlog_lease **leases,
                      struct evlog_failure *failure)
{
    struct evlog_client *client = group->client;
    int64_t deadline_ns = el_deadline(timeout_ms);
    if (count_max == 0 || count_max > FETCH_COUNT_MAX) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "1 to %d leases can be fetched at once", FETCH_COUNT_MAX);
    }
    (void)el_client_tell_log(client);
    int rc = 0;
    for (bool over = false; rc == 0 && !over;) {
        int unreadable = el_lease_take_answers(group, failure);
        el_client_lock(client);
        int64_t now_ns = el_now_ns();
        rc = take_ready(group, count_max, leases);
        rc = rc == 0 ? unreadable : rc;
        rc = rc == 0 ? what_fails(group, now_ns, failure) : rc;
        over = now_ns >= deadline_ns;
        if (rc != 0 || (over && timeout_ms != 0)) {
            group->wanted_count = 0;
        } else if (el_list_empty(&group->answers)) {
            await(group, count_max, timeout_ms == 0, deadline_ns);
        }
        el_client_unlock(client);
    }
    el_client_settle(client);
    return rc;
}

/* --- outcomes ----------------------------------------------------------------------------------------------------- */

/* Copy len bytes of a text and make it UTF-8: it may be cut inside a character, or be in another encoding. */
static void copy_text(char *to, const char *from, size_t len)
{
    uint32_t point;
    for (size_t pos = 0; pos < len;) {
        size_t n = el_utf8_next(from + pos, len - pos, &point);
        if (n == 0) {
            to[pos++] = '?';
        } else {
            memcpy(to + pos, from + pos, n);
            pos += n;
        }
    }
}

/* Keep the texts of an outcome; without memory they are left out, which is better than no outcome. */
void el_outcome_texts(struct el_outcome *outcome, const struct evlog_settlement *settlement)
{
    size_t reason_len = settlement->reason == NULL ? 0 : strnlen(settlement->reason, EVLOG_REASON_MAX - 1);
    size_t error_len = settlement->error == NULL ? 0 : strnlen(settlement->error, EVLOG_ERROR_TEXT_MAX - 1);
    char *both = reason_len + error_len == 0 ? NULL : el_calloc(1, reason_len + error_len + 2);
    if (both == NULL) {
        return;
    }
    copy_text(both, settlement->reason, reason_len);
    copy_text(both + reason_len + 1, settlement->error, error_len);
    outcome->reason = both;
    outcome->error = error_len == 0 ? NULL : both + reason_len + 1;
}

static enum el_outcome_kind kind_of(enum evlog_outcome outcome)
{
    switch (outcome) {
    case EVLOG_ACK:
        return EL_OUTCOME_ACCEPT;
    case EVLOG_NACK:
        return EL_OUTCOME_FAIL;
    case EVLOG_DEAD:
        return EL_OUTCOME_REJECT;
    case EVLOG_RELEASE:
        return EL_OUTCOME_RELEASE;
    }
    return EL_OUTCOME_RELEASE;
}

/* What was to be published before the acknowledgement was not: the event has failed, and whoever waits is told why. */
static void emit_failed(const struct evlog_settlement *settlement, struct el_lease *lease, struct el_outcome_wait *wait)
{
    struct evlog_settlement failed = {settlement->lease, EVLOG_NACK, -1, "emit", lease->emit_failure.text};
    lease->outcome.kind = EL_OUTCOME_FAIL;
    el_outcome_texts(&lease->outcome, &failed);
    if (wait != NULL && wait->failure.code == 0) {
        wait->failure = lease->emit_failure;
    }
}

static const char *name_of(enum evlog_outcome outcome)
{
    switch (outcome) {
    case EVLOG_ACK:
        return "ack";
    case EVLOG_NACK:
        return "nack";
    case EVLOG_DEAD:
        return "dead";
    case EVLOG_RELEASE:
        return "release";
    }
    return "release";
}

/* The handler's span ends, the outcome's begins. */
static void trace_outcome(struct el_lease *lease, const struct evlog_settlement *settlement)
{
    const char *name = name_of(settlement->outcome), *reason = lease->outcome.reason;
    bool failed = settlement->outcome == EVLOG_NACK || settlement->outcome == EVLOG_DEAD;
    lease->settling = el_span_settle(lease->handling, name);
    const char *type = reason != NULL && reason[0] != '\0' ? reason : name;
    el_span_end(lease->handling, failed ? type : NULL, failed ? lease->outcome.error : NULL);
    lease->handling = NULL;
}

static void settle_one(struct evlog_group *group, const struct evlog_settlement *settlement,
                       struct el_outcome_wait *wait)
{
    struct el_lease *lease = el_lease_of(settlement->lease);
    struct el_outcome *outcome = &lease->outcome;
    EL_ASSERT(el_list_empty(&outcome->link));
    outcome->kind = kind_of(settlement->outcome);
    outcome->delay_ms = settlement->outcome == EVLOG_NACK ? EL_MIN(settlement->delay_ms, DELAY_MS_MAX) : -1;
    outcome->delay_ms = EL_MAX(outcome->delay_ms, -1);
    outcome->wait = wait;
    if (settlement->outcome == EVLOG_NACK || settlement->outcome == EVLOG_DEAD) {
        el_outcome_texts(outcome, settlement);
    }
    trace_outcome(lease, settlement);
    if (settlement->outcome != EVLOG_ACK) {
        el_emits_free(lease);
    } else if (lease->emit_failure.code != 0) {
        emit_failed(settlement, lease, wait);
    }
    if (lease->extension.queued) { /* of no use any more */
        el_outcome_end(group, &lease->extension, NULL);
    }
    lease->keep_until_ns = 0;
    group->counts.leased--;
    el_list_remove(&lease->link);
    el_list_push_back(&group->settling, &lease->link);
    if (lease->over) {
        struct evlog_failure over = EVLOG_FAILURE_INIT;
        (void)el_fail(&over, EVLOG_ERR_LEASE, "%s[%d]@%lld: the lease has ended, and the event is delivered again",
                      lease->event.topic, lease->event.partition, (long long)lease->event.offset);
        el_outcome_end(group, outcome, &over);
        return;
    }
    el_outcome_queue(group, lease->session, lease->session_number, outcome);
}

/* Nobody waits any more for what has not ended. */
static void forget_wait(struct evlog_group *group, const struct el_outcome_wait *wait)
{
    EL_LIST_EACH(node, &group->settling) {
        struct el_lease *lease = EL_CONTAINER(node, struct el_lease, link);
        if (lease->outcome.wait == wait) {
            lease->outcome.wait = NULL;
        }
    }
    EL_LIST_EACH(node, &group->held) {
        struct el_lease *lease = EL_CONTAINER(node, struct el_lease, link);
        if (lease->extension.wait == wait) {
            lease->extension.wait = NULL;
        }
    }
}

/* Wait until all have ended. Lock held. returns 0 | the first failure */
static int wait_for(struct evlog_group *group, struct el_outcome_wait *wait, struct evlog_failure *failure)
{
    struct evlog_client *client = group->client;
    int64_t deadline_ns = el_deadline(client->cfg.request_timeout_ms);
    bool late = false;
    while (wait->left > 0 && !client->stopping && !late) {
        late = !el_client_wait(client, deadline_ns) && el_now_ns() >= deadline_ns;
    }
    if (wait->left > 0) {
        forget_wait(group, wait);
        (void)el_fail(failure, EVLOG_ERR_TIMED_OUT, "work group %.200s: outcomes are not confirmed", group->name);
        el_fail_doubt(failure);
        return EVLOG_ERR_TIMED_OUT;
    }
    return wait->failure.code == 0 ? 0 : el_fail_copy(failure, &wait->failure);
}

int evlog_group_settle(struct evlog_group *group, const struct evlog_settlement *settlements, size_t count, bool wait,
                       struct evlog_failure *failure)
{
    if (count > FETCH_COUNT_MAX) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "at most %d outcomes can be given at once", FETCH_COUNT_MAX);
    }
    struct el_outcome_wait waiting = {.left = (uint32_t)count, .failure = EVLOG_FAILURE_INIT};
    int rc = 0;
    for (size_t i = 0; i < count; i++) {
        struct el_lease *lease = el_lease_of(settlements[i].lease);
        if (settlements[i].outcome == EVLOG_ACK && lease->emit_count > 0) {
            el_emits_prepare(group, lease);
        }
    }
    el_client_lock(group->client);
    for (size_t i = 0; i < count; i++) {
        settle_one(group, &settlements[i], wait ? &waiting : NULL);
    }
    if (wait) {
        rc = wait_for(group, &waiting, failure);
    }
    el_client_unlock(group->client);
    return rc;
}

int evlog_group_ack(struct evlog_group *group, const struct evlog_lease *lease, struct evlog_failure *failure)
{
    struct evlog_settlement one = {.lease = lease, .outcome = EVLOG_ACK};
    return evlog_group_settle(group, &one, 1, true, failure);
}

int evlog_group_nack(struct evlog_group *group, const struct evlog_lease *lease, int64_t delay_ms, const char *reason,
                     const char *error, struct evlog_failure *failure)
{
    struct evlog_settlement one = {lease, EVLOG_NACK, delay_ms, reason, error};
    return evlog_group_settle(group, &one, 1, true, failure);
}

int evlog_group_dead(struct evlog_group *group, const struct evlog_lease *lease, const char *reason, const char *error,
                     struct evlog_failure *failure)
{
    struct evlog_settlement one = {lease, EVLOG_DEAD, -1, reason, error};
    return evlog_group_settle(group, &one, 1, true, failure);
}

int evlog_group_extend(struct evlog_group *group, const struct evlog_lease *given, struct evlog_failure *failure)
{
    struct el_lease *lease = el_lease_of(given);
    struct el_outcome_wait waiting = {.left = 1, .failure = EVLOG_FAILURE_INIT};
    el_client_lock(group->client);
    if (el_lease_is_over(lease)) {
        el_client_unlock(group->client);
        return el_fail(failure, EVLOG_ERR_LEASE, "%s[%d]@%lld: the lease has ended, and the event is delivered again",
                       lease->event.topic, lease->event.partition, (long long)lease->event.offset);
    }
    lease->extension.wait = &waiting;
    if (!lease->extending) {
        lease->extending = true;
        lease->extension.kind = EL_OUTCOME_EXTEND;
        el_outcome_queue(group, lease->session, lease->session_number, &lease->extension);
    }
    int rc = wait_for(group, &waiting, failure);
    el_client_unlock(group->client);
    return rc;
}

void evlog_group_keep(struct evlog_group *group, const struct evlog_lease *given, int64_t for_ms)
{
    struct el_lease *lease = el_lease_of(given);
    el_client_lock(group->client);
    lease->keep_until_ns = for_ms <= 0 ? 0 : el_deadline(for_ms);
    group->keep_at_ns = EL_MIN(group->keep_at_ns, lease->deadline_ns - lease->lease_ns / 2);
    el_client_wake(group->client);
    el_client_unlock(group->client);
}

bool evlog_group_holds(struct evlog_group *group, const struct evlog_lease *given)
{
    const struct el_lease *lease = el_lease_of(given);
    el_client_lock(group->client);
    bool holds = !el_lease_is_over(lease) && el_now_ns() < lease->deadline_ns;
    el_client_unlock(group->client);
    return holds;
}

void evlog_group_counts(struct evlog_group *group, struct evlog_group_counts *counts)
{
    el_client_lock(group->client);
    *counts = group->counts;
    el_client_unlock(group->client);
}

bool evlog_lease_trace(const struct evlog_lease *given, struct evlog_trace_context *context)
{
    const struct el_span *span = el_lease_of(given)->handling;
    if (span != NULL) {
        *context = *el_span_context(span);
        return true;
    }
    return evlog_event_trace(given->event, context);
}

/* --- close -------------------------------------------------------------------------------------------------------- */

int evlog_group_close(struct evlog_group *group, int timeout_ms, struct evlog_failure *failure)
{
    if (group == NULL) {
        return 0;
    }
    struct evlog_client *client = group->client;
    int64_t deadline_ns = el_deadline(timeout_ms < 0 ? client->cfg.request_timeout_ms : timeout_ms);
    el_client_lock(client);
    el_group_leave(group);
    while (group->sm.state != EL_GROUP_LEFT && !client->stopping && el_client_wait(client, deadline_ns)) {
    }
    bool left = group->sm.state == EL_GROUP_LEFT;
    el_lease_calls_detach(group);
    if (!left) {
        el_conns_retire(client, group->lane); /* tells the broker as well */
    }
    el_list_remove(&group->link);
    struct evlog_producer *producer = group->producer;
    group_free(group);
    el_client_unlock(client);
    evlog_producer_close(producer);
    return left ? 0
                : el_fail(failure, EVLOG_ERR_TIMED_OUT,
                          "the work group was not told that this member leaves; its "
                          "leases end by themselves");
}
