/* SPDX-License-Identifier: Apache-2.0
 *
 * What a client knows of its cluster: nodes, and per topic its id and the leader of each partition.
 *
 * 1. el_cluster_topic() answers from what is known, else asks (blocking) and takes the answer in.
 * 2. el_cluster_suspect() is called when an answer or a lost connection says that a leader may have moved; the internal
 *    thread then refreshes all known topics, with backoff, until an answer came.
 * 3. The same happens when what is known is older than metadata.max.age.ms.
 *
 * Everything is guarded by the client's lock. Fails only by knowing nothing: callers try again until their deadline.
 */
#include "client_core.h"
#include "fail.h"

#include <core/alloc.h>
#include <core/limits.h>
#include <stdio.h>
#include <wire/error_code.h>
#include <wire/msg_metadata.h>

#define NODE_COUNT_MAX 4096

static void nodes_free(struct el_node *nodes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        el_free(nodes[i].host);
    }
    el_free(nodes);
}

static void topic_free(struct el_topic *topic)
{
    if (topic != NULL) {
        el_free(topic->name);
        el_free(topic->partitions);
        el_free(topic);
    }
}

/* The refresh that is on its way: the call, its request, and the names it asks for. */
struct refresh {
    struct el_call call;
    struct el_msg_metadata_request request;
    struct el_arena arena;
};

static void refresh_free(struct refresh *refresh)
{
    el_call_free(&refresh->call);
    el_arena_reset(&refresh->arena);
    el_free(refresh);
}

void el_cluster_destroy(struct el_cluster *cluster)
{
    EL_ASSERT(cluster->refresh == NULL);
    nodes_free(cluster->nodes, cluster->node_count);
    for (size_t i = 0; i < cluster->topics.count; i++) {
        topic_free(cluster->topics.entries[i].value);
    }
    el_map_destroy(&cluster->topics);
}

struct el_topic *el_cluster_find(struct evlog_client *client, const char *name)
{
    return el_map_get(&client->cluster.topics, name, strlen(name));
}

const struct el_node *el_cluster_node(const struct evlog_client *client, int32_t node_id)
{
    for (uint32_t i = 0; i < client->cluster.node_count; i++) {
        if (client->cluster.nodes[i].id == node_id) {
            return &client->cluster.nodes[i];
        }
    }
    return NULL;
}

int32_t el_cluster_leader(struct evlog_client *client, const char *name, int32_t partition)
{
    const struct el_topic *topic = el_cluster_find(client, name);
    bool known = topic != NULL && partition >= 0 && partition < topic->partition_count;
    return known ? topic->partitions[partition].leader : -1;
}

/* --- taking an answer in ---------------------------------------------------------------------------------------- */

static int take_nodes(struct el_cluster *cluster, const struct el_msg_metadata_response *response)
{
    uint32_t count = EL_MIN(response->broker_count, NODE_COUNT_MAX);
    struct el_node *nodes = el_calloc(count, sizeof *nodes);
    if (nodes == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct el_msg_metadata_broker *broker = &response->brokers[i];
        nodes[i].id = broker->node_id;
        nodes[i].port = broker->port;
        nodes[i].host = el_malloc(broker->host.len + 1);
        if (nodes[i].host == NULL) {
            nodes_free(nodes, i);
            return EVLOG_ERR_NO_MEMORY;
        }
        memcpy(nodes[i].host, broker->host.data, broker->host.len);
        nodes[i].host[broker->host.len] = '\0';
    }
    nodes_free(cluster->nodes, cluster->node_count);
    cluster->nodes = nodes;
    cluster->node_count = count;
    cluster->controller_id = response->controller_id;
    (void)snprintf(cluster->cluster_id, sizeof cluster->cluster_id, "%.*s", (int)EL_MIN(response->cluster_id.len, 63),
                   response->cluster_id.data == NULL ? "" : (const char *)response->cluster_id.data);
    return 0;
}

/* A topic out of its part of an answer; NULL: no memory. Partitions that the answer leaves out have no leader. */
static struct el_topic *topic_new(const struct el_msg_metadata_topic *source)
{
    struct el_topic *topic = el_calloc(1, sizeof *topic);
    if (topic == NULL) {
        return NULL;
    }
    int32_t count = 0;
    for (uint32_t i = 0; i < source->partition_count; i++) {
        int32_t index = source->partitions[i].partition_index;
        count = index >= count && index < (1 << 20) ? index + 1 : count;
    }
    topic->name = el_malloc(source->name.len + 1);
    topic->partitions = el_malloc((size_t)count * sizeof *topic->partitions);
    if (topic->name == NULL || topic->partitions == NULL) {
        topic_free(topic);
        return NULL;
    }
    memcpy(topic->name, source->name.data, source->name.len);
    topic->name[source->name.len] = '\0';
    topic->id = source->topic_id;
    topic->internal = source->is_internal;
    topic->partition_count = count;
    for (int32_t i = 0; i < count; i++) {
        topic->partitions[i] = (struct el_topic_partition){-1, -1};
    }
    for (uint32_t i = 0; i < source->partition_count; i++) {
        const struct el_msg_metadata_partition *p = &source->partitions[i];
        if (p->partition_index >= 0 && p->partition_index < count) {
            topic->partitions[p->partition_index] = (struct el_topic_partition){p->leader_id, p->leader_epoch};
        }
    }
    return topic;
}

static int take_topic(struct el_cluster *cluster, const struct el_msg_metadata_topic *source)
{
    if (source->name.data == NULL || source->name.len > EL_TOPIC_NAME_MAX) {
        return 0;
    }
    if (source->error_code != 0) {
        if (source->error_code == EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION) {
            topic_free(el_map_remove(&cluster->topics, source->name.data, source->name.len));
        }
        return 0;
    }
    struct el_topic *topic = topic_new(source);
    if (topic == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    topic_free(el_map_remove(&cluster->topics, source->name.data, source->name.len));
    int rc = el_map_put(&cluster->topics, topic->name, strlen(topic->name), topic);
    if (rc != 0) {
        topic_free(topic);
    }
    return rc;
}

int el_cluster_take(struct evlog_client *client, const struct el_msg_metadata_response *response)
{
    int rc = take_nodes(&client->cluster, response);
    for (uint32_t i = 0; rc == 0 && i < response->topic_count; i++) {
        rc = take_topic(&client->cluster, &response->topics[i]);
    }
    client->cluster.change_count++;
    el_client_notify(client);
    return rc;
}

/* --- blocking --------------------------------------------------------------------------------------------------- */

static int topic_error(const struct el_msg_metadata_response *response, const char *name, bool create,
                       struct evlog_failure *failure)
{
    for (uint32_t i = 0; i < response->topic_count; i++) {
        const struct el_msg_metadata_topic *topic = &response->topics[i];
        if (!el_slice_eq(topic->name, el_slice_str(name))) {
            continue;
        }
        if (topic->error_code == EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION) {
            return el_fail(failure, EVLOG_ERR_UNKNOWN_TOPIC, "topic %s is not there", name);
        }
        if (topic->error_code != 0) {
            char what[EL_TOPIC_NAME_MAX + 16];
            (void)snprintf(what, sizeof what, "topic %s", name);
            int rc = el_fail_kafka(failure, topic->error_code, el_slice_of(NULL, 0), what);
            el_fail_right(failure, create ? "describe,create topic" : "describe topic", name);
            return rc;
        }
        return topic->partition_count > 0 ? 0 : el_fail(failure, EVLOG_ERR_AGAIN, "topic %s has no partitions", name);
    }
    return el_fail(failure, EVLOG_ERR_UNKNOWN_TOPIC, "topic %s is not there", name);
}

int el_cluster_refresh(struct evlog_client *client, const char *name, bool create, int64_t deadline_ns,
                       struct evlog_failure *failure)
{
    struct el_msg_metadata_request request;
    struct el_msg_metadata_request_topic topic;
    struct el_msg_metadata_response response;
    struct el_call call;
    el_schema_init(&el_schema_metadata_request, &request);
    el_schema_init(&el_schema_metadata_request_topic, &topic);
    topic.name = el_slice_str(name);
    request.topics = name == NULL ? EL_EMPTY : &topic;
    request.topic_count = name != NULL;
    request.allow_auto_topic_creation = create;
    struct el_ask ask = {
        .api = EL_API_Metadata,
        .request = &request,
        .version_max = EL_METADATA_VERSION_MAX,
        .node_id = EL_NODE_ANY,
        .deadline_ns = deadline_ns,
        .once = true,
    };
    int rc = el_client_ask(client, &ask, &call, &response, failure);
    if (rc != 0) {
        return rc;
    }
    el_client_lock(client);
    rc = el_cluster_take(client, &response);
    el_client_unlock(client);
    if (rc != 0) {
        (void)el_fail(failure, rc, "no memory for what the broker said of its topics");
    } else if (name != NULL) {
        rc = topic_error(&response, name, create, failure);
    }
    el_call_free(&call);
    return rc;
}

/* Every partition has a leader: a topic that was just made may not have one yet. */
static bool known(struct evlog_client *client, const char *name, int32_t *partition_count)
{
    el_client_lock(client);
    const struct el_topic *topic = el_cluster_find(client, name);
    bool ok = topic != NULL && topic->partition_count > 0;
    for (int32_t i = 0; ok && i < topic->partition_count; i++) {
        ok = topic->partitions[i].leader >= 0;
    }
    if (ok) {
        *partition_count = topic->partition_count;
    }
    el_client_unlock(client);
    return ok;
}

static bool try_again(int code, bool create)
{
    return code == EVLOG_ERR_AGAIN || code == EVLOG_ERR_UNREACHABLE || code == EVLOG_ERR_CLOSED ||
           code == EVLOG_ERR_TIMED_OUT || code == EVLOG_ERR_KAFKA || (code == EVLOG_ERR_UNKNOWN_TOPIC && create);
}

int el_cluster_topic(struct evlog_client *client, const struct el_topic_ask *ask, int32_t *partition_count,
                     struct evlog_failure *failure)
{
    bool must_ask = ask->fresh;
    for (uint32_t tries = 1;; tries++) {
        if (!must_ask && known(client, ask->name, partition_count)) {
            return 0;
        }
        must_ask = false;
        int rc = el_cluster_refresh(client, ask->name, ask->create, ask->deadline_ns, failure);
        if (rc == 0 && known(client, ask->name, partition_count)) {
            return 0;
        }
        if (rc != 0 && !try_again(rc, ask->create)) {
            return rc;
        }
        if (!el_pause_before_retry(client, tries, ask->deadline_ns)) {
            return rc != 0
                       ? rc
                       : el_fail(failure, EVLOG_ERR_TIMED_OUT, "topic %s has partitions without a leader", ask->name);
        }
    }
}

void el_cluster_forget(struct evlog_client *client, const char *name)
{
    el_client_lock(client);
    topic_free(el_map_remove(&client->cluster.topics, name, strlen(name)));
    el_client_unlock(client);
}

/* --- in the background ------------------------------------------------------------------------------------------ */

void el_cluster_suspect(struct evlog_client *client)
{
    client->cluster.refresh_wanted = true;
    el_client_wake(client);
}

static void refresh_on_done(struct evlog_client *client, struct el_call *call)
{
    struct refresh *refresh = call->arg;
    struct el_cluster *cluster = &client->cluster;
    struct el_msg_metadata_response response;
    int rc = call->failure.code;
    if (rc == 0) {
        rc = el_call_decode(call, &response, NULL);
    }
    if (rc == 0) {
        rc = el_cluster_take(client, &response);
    }
    cluster->full_count += rc == 0 && refresh->request.topics == NULL;
    cluster->refresh = NULL;
    cluster->refresh_tries = rc == 0 ? 0 : cluster->refresh_tries + 1;
    cluster->refresh_wanted = cluster->refresh_wanted || rc != 0;
    int64_t pause_ns = el_client_backoff_ns(client, cluster->refresh_tries + 1, client->cfg.retry_backoff_ms,
                                            client->cfg.retry_backoff_max_ms);
    cluster->refresh_at_ns = el_now_ns() + pause_ns;
    refresh_free(refresh);
}

int el_cluster_question(struct el_arena *arena, const struct el_slice *names, uint32_t count,
                        struct el_msg_metadata_request *request)
{
    el_schema_init(&el_schema_metadata_request, request);
    request->allow_auto_topic_creation = false;
    request->topics = NULL; /* all of them */
    if (names == NULL) {
        return 0;
    }
    request->topics = el_schema_new(&el_schema_metadata_request_topic, arena, count);
    request->topic_count = count;
    for (uint32_t i = 0; request->topics != NULL && i < count; i++) {
        uint8_t *name = el_arena_dup(arena, names[i].data, names[i].len);
        if (name == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        request->topics[i].name = el_slice_of(name, names[i].len);
    }
    return request->topics == NULL ? EVLOG_ERR_NO_MEMORY : 0;
}

/* Ask for the topics that are known and for those that subscribers and work groups wait for. */
static int refresh_fill(struct evlog_client *client, struct refresh *refresh)
{
    bool all;
    uint32_t known_count = (uint32_t)client->cluster.topics.count;
    uint32_t subscribed_count = el_subscribers_topics(client, NULL, 0, &all);
    uint32_t wanted_count = subscribed_count + el_groups_topics(client, NULL, 0);
    struct el_slice *names = el_arena_alloc(&refresh->arena, (known_count + wanted_count + 1) * sizeof *names);
    if (names == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    uint32_t count = 0;
    for (uint32_t i = 0; i < known_count; i++) {
        names[count++] = client->cluster.topics.entries[i].key;
    }
    (void)el_subscribers_topics(client, names + known_count, subscribed_count, &all);
    (void)el_groups_topics(client, names + known_count + subscribed_count, wanted_count - subscribed_count);
    for (uint32_t i = known_count; i < known_count + wanted_count; i++) {
        bool twice = el_map_get(&client->cluster.topics, names[i].data, names[i].len) != NULL;
        for (uint32_t j = known_count; j < count; j++) {
            twice = twice || el_slice_eq(names[j], names[i]);
        }
        if (!twice) {
            names[count++] = names[i];
        }
    }
    return el_cluster_question(&refresh->arena, all ? NULL : names, count, &refresh->request);
}

static struct refresh *refresh_new(struct evlog_client *client)
{
    struct refresh *refresh = el_calloc(1, sizeof *refresh);
    if (refresh == NULL) {
        return NULL;
    }
    el_arena_init(&refresh->arena, NULL, 0);
    el_call_init(&refresh->call, el_api_find(EL_API_Metadata), &refresh->request);
    if (refresh_fill(client, refresh) != 0) {
        refresh_free(refresh);
        return NULL;
    }
    return refresh;
}

void el_cluster_tick(struct evlog_client *client, int64_t now_ns, int64_t *until_ns)
{
    struct el_cluster *cluster = &client->cluster;
    bool unused = el_list_empty(&client->subscribers) && el_list_empty(&client->groups);
    if (cluster->refresh != NULL || (cluster->topics.count == 0 && unused)) {
        return;
    }
    int64_t due_ns = cluster->refresh_wanted ? cluster->refresh_at_ns
                                             : cluster->refresh_at_ns + client->cfg.metadata_max_age_ms * EL_NS_PER_MS;
    if (cluster->refresh_at_ns == 0) {
        cluster->refresh_at_ns = now_ns;
        due_ns = cluster->refresh_wanted ? now_ns : now_ns + client->cfg.metadata_max_age_ms * EL_NS_PER_MS;
    }
    struct refresh *refresh = due_ns <= now_ns ? refresh_new(client) : NULL;
    if (refresh == NULL) {
        *until_ns = EL_MIN(*until_ns, EL_MAX(due_ns, now_ns + EL_NS_PER_MS));
        return;
    }
    cluster->refresh_wanted = false;
    cluster->refresh = &refresh->call;
    refresh->call.version_max = EL_METADATA_VERSION_MAX;
    refresh->call.deadline_ns = now_ns + client->cfg.request_timeout_ms * EL_NS_PER_MS;
    refresh->call.on_done = refresh_on_done;
    refresh->call.arg = refresh;
    el_call_submit(client, &refresh->call);
}
