/* SPDX-License-Identifier: Apache-2.0
 *
 * What a client does with a broker's answers, whatever they say. The first byte chooses the part, the second the
 * version:
 *
 *   0 Fetch  1 LogFetch   an answer to a consumer that reads two partitions; its events are read
 *   2 Metadata            an answer to a refresh
 *   3 Produce             an answer to a producer with batches on their way
 *   4                     bytes on a connection that has just asked ApiVersions
 *   5                     a line of CloudEvents
 *   6                     bytes on a connection that proves by SCRAM who the client is
 *
 * No thread and no broker: the client's inner functions are called as its thread would call them.
 */
#include "../../client/client_conn.h"
#include "../../client/consumer_state.h"
#include "../../client/producer_state.h"

#include <core/alloc.h>
#include <evlog/evlog.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define EVENTS_MAX 10000
#define INPUT_MAX 65536

static void client_begin(struct evlog_client *client)
{
    memset(client, 0, sizeof *client);
    int rc = el_client_config_make(NULL, &client->cfg, NULL);
    EL_ASSERT(rc == 0);
    client->cfg.idempotence = false;
    client->magic = EL_CLIENT_MAGIC;
    client->wake_fd = -1;
    client->wake_sent = true;
    client->bootstrap_count = 1;
    client->cluster.controller_id = -1;
    (void)pthread_mutex_init(&client->lock, NULL);
    (void)pthread_cond_init(&client->changed, NULL);
    el_rng_seed(&client->rng, 1);
    el_list_init(&client->calls);
    el_list_init(&client->conns);
    el_list_init(&client->producers);
    el_list_init(&client->subscribers);
    el_list_init(&client->groups);
    el_list_init(&client->log);
    client->event_fd = -1;
    el_map_init(&client->cluster.topics, NULL);
    client->chunk = el_malloc(EL_CLIENT_CHUNK_LEN);
    EL_ASSERT(client->chunk != NULL);
}

/* A topic "t" with two partitions led by node 1. */
static void add_topic(struct evlog_client *client)
{
    struct el_topic *topic = el_calloc(1, sizeof *topic);
    EL_ASSERT(topic != NULL);
    topic->name = el_strdup("t");
    topic->partition_count = 2;
    topic->partitions = el_calloc(2, sizeof *topic->partitions);
    EL_ASSERT(topic->name != NULL && topic->partitions != NULL);
    topic->partitions[0].leader = topic->partitions[1].leader = 1;
    int rc = el_map_put(&client->cluster.topics, topic->name, 1, topic);
    EL_ASSERT(rc == 0);
}

/* Give the call that waits an answer in this version; its owner takes it in. */
static void answer(struct evlog_client *client, uint8_t version, const uint8_t *body, size_t len)
{
    struct el_call *call = EL_CONTAINER(client->calls.next, struct el_call, link);
    el_list_remove(&call->link);
    call->sent = true;
    call->version = (int16_t)(call->api->accept_min + version % (call->api->list_max - call->api->accept_min + 1));
    call->frame = el_memdup(body, len);
    call->frame_len = len;
    call->body_pos = 0;
    el_client_lock(client);
    el_call_end(client, call);
    el_client_unlock(client);
}

static void client_end(struct evlog_client *client)
{
    el_client_lock(client);
    client->stopping = true;
    el_conns_close(client);
    el_client_unlock(client);
    el_cluster_destroy(&client->cluster);
    el_client_config_free(&client->cfg);
    el_free(client->chunk);
}

static void fuzz_fetch(bool log, uint8_t version, const uint8_t *body, size_t len)
{
    struct evlog_client client;
    struct evlog_consumer *consumer;
    const struct evlog_event *event;
    client_begin(&client);
    client.is_evlog = log;
    add_topic(&client);
    struct evlog_consumer_options options = EVLOG_CONSUMER_OPTIONS_INIT;
    options.topic = "t";
    options.ordered = log;
    int rc = evlog_consumer_open(&client, &options, &consumer, NULL);
    EL_ASSERT(rc == 0);
    (void)evlog_consumer_assign(consumer, 0, 0, 1000, NULL);
    (void)evlog_consumer_assign(consumer, 1, 5, -1, NULL);
    (void)evlog_consumer_next(consumer, 0, &event, NULL);
    EL_ASSERT(!el_list_empty(&client.calls));
    answer(&client, version, body, len);
    for (int i = 0; i < EVENTS_MAX && evlog_consumer_next(consumer, 0, &event, NULL) == 1; i++) {
        struct evlog_event_view view = {.size = sizeof view};
        EL_ASSERT(event->partition == 0 || event->partition == 1);
        EL_ASSERT(event->offset >= (event->partition == 0 ? 0 : 5));
        if (evlog_event_view(event, &view) == 0) {
            evlog_event_view_free(&view);
        }
    }
    evlog_consumer_close(consumer);
    client_end(&client);
}

static void fuzz_metadata(uint8_t version, const uint8_t *body, size_t len)
{
    struct evlog_client client;
    int64_t until_ns = INT64_MAX;
    client_begin(&client);
    add_topic(&client);
    el_client_lock(&client);
    el_cluster_suspect(&client);
    el_cluster_tick(&client, el_now_ns(), &until_ns);
    el_client_unlock(&client);
    EL_ASSERT(!el_list_empty(&client.calls));
    answer(&client, version, body, len);
    client_end(&client);
}

static void fuzz_produce(uint8_t version, const uint8_t *body, size_t len)
{
    struct evlog_client client;
    struct evlog_producer *producer;
    int64_t until_ns = INT64_MAX;
    client_begin(&client);
    add_topic(&client);
    int rc = evlog_producer_open(&client, &producer, NULL);
    EL_ASSERT(rc == 0);
    for (int32_t i = 0; i < 2; i++) {
        struct evlog_message message = EVLOG_MESSAGE_INIT;
        message.topic = "t";
        message.partition = i;
        (void)evlog_publish_async(producer, &message, NULL, NULL, NULL);
    }
    el_client_lock(&client);
    producer->flush_waiters = 1;
    el_producers_tick(&client, el_now_ns(), &until_ns);
    el_client_unlock(&client);
    EL_ASSERT(!el_list_empty(&client.calls));
    answer(&client, version, body, len);
    el_client_lock(&client);
    producer->closing = true;
    el_producers_tick(&client, el_now_ns(), &until_ns);
    el_client_unlock(&client);
    evlog_producer_close(producer);
    client_end(&client);
}

static void fuzz_connection(bool proving, const uint8_t *bytes, size_t len)
{
    struct evlog_client client;
    int ends[2];
    client_begin(&client);
    if (proving) {
        client.cfg.sasl = true;
        client.cfg.sasl_mechanism = EL_SCRAM_SHA256;
        el_free(client.cfg.sasl_username);
        client.cfg.sasl_username = el_strdup("alice");
        EL_ASSERT(client.cfg.sasl_username != NULL);
    }
    if (len > INPUT_MAX || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) != 0) {
        client_end(&client);
        return;
    }
    struct el_conn *conn = el_calloc(1, sizeof *conn);
    EL_ASSERT(conn != NULL);
    conn->node_id = EL_NODE_ANY;
    conn->fd = ends[0];
    el_list_init(&conn->sending);
    el_list_init(&conn->flying);
    el_list_init(&conn->negotiation.link);
    el_arena_init(&conn->negotiation.arena, NULL, 0);
    el_client_lock(&client);
    el_list_push_back(&client.conns, &conn->link);
    if (proving) {
        el_conn_prove(&client, conn);
    } else {
        el_conn_negotiate(&client, conn, 3);
    }
    ssize_t written = write(ends[1], bytes, len);
    if (written == (ssize_t)len && len > 0) {
        el_conn_read(&client, conn);
    }
    el_client_unlock(&client);
    (void)close(ends[1]);
    client_end(&client);
}

static void fuzz_cloudevent(const uint8_t *line, size_t len)
{
    struct evlog_cloudevent *event;
    if (evlog_cloudevent_parse(line, len, &event, NULL) == 0) {
        const struct evlog_message *message = evlog_cloudevent_message(event);
        EL_ASSERT(message->header_count >= 4);
        EL_ASSERT(message->timestamp_ms >= -1);
        evlog_cloudevent_free(event);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 2) {
        return 0;
    }
    const uint8_t *body = data + 2;
    switch (data[0] % 7) {
    case 0:
    case 1:
        fuzz_fetch(data[0] % 7 == 1, data[1], body, len - 2);
        break;
    case 2:
        fuzz_metadata(data[1], body, len - 2);
        break;
    case 3:
        fuzz_produce(data[1], body, len - 2);
        break;
    case 4:
        fuzz_connection(false, body, len - 2);
        break;
    case 6:
        fuzz_connection(true, body, len - 2);
        break;
    default:
        fuzz_cloudevent(body, len - 2);
        break;
    }
    return 0;
}
