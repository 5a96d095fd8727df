/* SPDX-License-Identifier: Apache-2.0
 *
 * Statistics of a client as JSON. Any thread; the lock is held while they are gathered, so that the numbers are of one
 * moment.
 */
#include "client_conn.h"
#include "fail.h"
#include "lease_state.h"
#include "producer_state.h"
#include "subscriber_state.h"

#include <core/alloc.h>
#include <core/json_writer.h>
#include <stdlib.h>

static void put_client(const struct evlog_client *client, struct el_json_writer *w)
{
    el_json_add_str(w, "client_id", client->cfg.client_id);
    el_json_add_str(w, "version", EVLOG_VERSION);
    el_json_add_bool(w, "is_evlog", client->is_evlog);
    el_json_add_uint(w, "requests", client->request_count);
    el_json_add_uint(w, "requests_failed", client->request_failed_count);
    el_json_add_uint(w, "connects", client->connect_count);
    el_json_add_uint(w, "connects_failed", client->connect_failed_count);
    el_json_add_uint(w, "metadata_answers", client->cluster.change_count);
    el_json_add_uint(w, "topics_known", client->cluster.topics.count);
}

static void put_connections(const struct evlog_client *client, struct el_json_writer *w)
{
    static const char *const states[] = {"closed", "connecting", "negotiating", "ready"};
    el_json_key(w, "connections");
    el_json_begin_array(w);
    EL_LIST_EACH(node, &client->conns) {
        const struct el_conn *conn = EL_CONTAINER(node, struct el_conn, link);
        el_json_begin_object(w);
        el_json_add_str(w, "peer", conn->peer);
        el_json_add_int(w, "node", conn->node_id);
        el_json_add_str(w, "state", states[conn->state]);
        el_json_add_uint(w, "in_flight", conn->flying_count);
        el_json_add_uint(w, "failures", conn->failure_count);
        el_json_end_object(w);
    }
    el_json_end_array(w);
}

static void put_producers(const struct evlog_client *client, struct el_json_writer *w)
{
    el_json_key(w, "producers");
    el_json_begin_array(w);
    EL_LIST_EACH(node, &client->producers) {
        const struct evlog_producer *producer = EL_CONTAINER(node, struct evlog_producer, link);
        el_json_begin_object(w);
        el_json_add_uint(w, "stored", producer->stats.stored_count);
        el_json_add_uint(w, "failed", producer->stats.failed_count);
        el_json_add_uint(w, "retries", producer->stats.retry_count);
        el_json_add_uint(w, "pending", producer->pending_count);
        el_json_add_uint(w, "buffered_bytes", producer->buffered_len);
        el_json_end_object(w);
    }
    el_json_end_array(w);
}

static void put_subscribers(const struct evlog_client *client, struct el_json_writer *w)
{
    el_json_key(w, "subscribers");
    el_json_begin_array(w);
    EL_LIST_EACH(node, &client->subscribers) {
        const struct evlog_subscriber *subscriber = EL_CONTAINER(node, struct evlog_subscriber, link);
        const struct el_member *member = &subscriber->member;
        uint32_t held_count = 0;
        for (uint32_t i = 0; i < member->held.run_count; i++) {
            held_count += member->held.runs[i].partition_count;
        }
        el_json_begin_object(w);
        el_json_add_str(w, "group", subscriber->group);
        el_json_add_str(w, "state", el_sm_name(&member->sm));
        el_json_add_str(w, "member", member->id);
        el_json_add_int(w, "generation", member->generation);
        el_json_add_bool(w, "leader", member->is_leader);
        el_json_add_int(w, "coordinator", member->coordinator);
        el_json_add_uint(w, "partitions", held_count);
        el_json_add_uint(w, "rebalances", member->rebalance_count);
        el_json_add_uint(w, "events", __atomic_load_n(&subscriber->event_count, __ATOMIC_RELAXED));
        el_json_add_uint(w, "commits", __atomic_load_n(&subscriber->commit_count, __ATOMIC_RELAXED));
        el_json_end_object(w);
    }
    el_json_end_array(w);
}

static void put_groups(const struct evlog_client *client, struct el_json_writer *w)
{
    el_json_key(w, "work_groups");
    el_json_begin_array(w);
    EL_LIST_EACH(node, &client->groups) {
        const struct evlog_group *group = EL_CONTAINER(node, struct evlog_group, link);
        el_json_begin_object(w);
        el_json_add_str(w, "group", group->name);
        el_json_add_str(w, "state", el_sm_name(&group->sm));
        el_json_add_str(w, "member", group->member_id);
        el_json_add_int(w, "epoch", group->epoch);
        el_json_add_int(w, "coordinator", group->coordinator);
        el_json_add_uint(w, "acked", group->counts.acked);
        el_json_add_uint(w, "nacked", group->counts.nacked);
        el_json_add_uint(w, "dead", group->counts.dead);
        el_json_add_uint(w, "released", group->counts.released);
        el_json_add_uint(w, "lost", group->counts.lost);
        el_json_add_uint(w, "leased", group->counts.leased);
        el_json_end_object(w);
    }
    el_json_end_array(w);
}

int evlog_client_stats(struct evlog_client *client, char **json, struct evlog_failure *failure)
{
    struct el_buffer text = {0};
    struct el_json_writer w;
    el_json_writer_init(&w, &text);
    el_client_lock(client);
    el_json_begin_object(&w);
    put_client(client, &w);
    put_connections(client, &w);
    put_producers(client, &w);
    put_subscribers(client, &w);
    put_groups(client, &w);
    el_json_end_object(&w);
    el_client_unlock(client);
    int rc = el_json_writer_end(&w);
    const char *whole = rc == 0 ? el_buffer_text(&text) : NULL;
    char *copy = whole == NULL ? NULL : el_strdup(whole);
    el_buffer_free(&text);
    if (copy == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for statistics");
    }
    *json = copy;
    return 0;
}

void evlog_text_free(char *text)
{
    el_free(text);
}
