/* SPDX-License-Identifier: Apache-2.0
 *
 * The loop of a shard.
 *
 *   1. the store's part is started, then the heap is sealed: from here on our own code uses the shard's budget only
 *   2. io_step() runs what has happened; store_shard_tick() flushes and says when it wants to run again; and so on
 *   3. commands of the main thread come as messages; each is answered through shard->done when it is carried out
 *
 * Work groups have writes of their own under way when their requests have ended: a stop waits for them as well. Then
 * the stream index writes what it has in memory, so that the next start reads little.
 *
 * Requests that wait for the store, for room on a full disk perhaps, do not hold up a stop for ever: after drain_ns
 * their connections are cut and the stores stop, which answers them. Only then is the net freed, for they are its.
 * Those that wait for the archive are answered before: it may be away for longer than anybody waits.
 */
#include <api/throttle.h>
#include <api/trace_id.h>
#include <core/alloc.h>
#include <settings_record.h>
#include <shard.h>
#include <storage/tier.h>

#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>

#define NODE_ID 1
/* Of the time to stop in: answers that were waited for in vain leave before connections are cut. */
#define ANSWERS_SHARE 4

struct net_config shard_net_limits(const struct config *cfg)
{
    struct address_limits address_limits;
    int error = address_limits_parse(cfg->connections_per_ip_overrides, &address_limits, NULL);
    EL_ASSERT(error == 0); /* it was checked with the others */
    return (struct net_config){
        .conn_count_max = (uint32_t)cfg->max_connections,
        .address_conn_count_max = (uint32_t)cfg->connections_per_ip_max,
        .address_limits = address_limits,
        .principal_conn_count_max = (uint32_t)cfg->connections_per_principal_max,
        .principal_bytes_max = (size_t)cfg->inflight_per_principal_max,
        .frame_len_max = (size_t)cfg->request_len_max,
        .idle_ns_max = (uint64_t)cfg->connections_idle_ms * 1000000u,
        .slow_ns = (uint64_t)cfg->slow_operation_ms * 1000000u,
        .unproven_count_max = (uint32_t)cfg->unproven_max,
        .unproven_ns_max = (uint64_t)cfg->unproven_ms * 1000000u,
    };
}

void shard_net_calls(struct net_config *net_cfg, struct api *api)
{
    net_cfg->dispatch = api_dispatch;
    net_cfg->arg = api;
    net_cfg->conn_closed = api_conn_closed;
    net_cfg->admit = api_throttle_admit;
    net_cfg->meter = api_throttle_meter;
    net_cfg->trace_id = api_trace_id;
    net_cfg->shaken = api_audit_handshake;
}

static struct groups_config groups_config_of(const struct shard *shard, const struct config *cfg)
{
    return (struct groups_config){
        .session_min_ms = cfg->group_session_min_ms,
        .session_max_ms = cfg->group_session_max_ms,
        .initial_delay_ms = cfg->group_initial_delay_ms,
        .size_max = cfg->group_size_max,
        .metadata_len_max = cfg->offset_metadata_len_max,
        .retention_ms = cfg->offsets_retention_minutes * 60000,
        .check_interval_ms = cfg->offsets_check_ms,
        .partition_count = (int32_t)cfg->offsets_partitions,
        .memory_max = config_group_memory_max(cfg) / shard->shard_count,
        .subscribes = api_group_subscribes,
    };
}

static struct leases_config leases_config_of(struct shard *shard, const struct config *cfg)
{
    return (struct leases_config){
        .topic_defaults = &shard->node.topic_defaults,
        .memory_max = config_group_memory_max(cfg) / shard->shard_count,
        .members_max = (int32_t)cfg->share_size_max,
        .ask_kind = api_ask_kind,
        .kind_arg = &shard->api,
    };
}

void shard_take_config(struct shard *shard, const struct config *cfg)
{
    shard->cfg = *cfg;
    shard->node.fetch_len_max = cfg->fetch_len_max;
    shard->node.auto_create = cfg->auto_create_topics;
    shard->node.partition_count = (int32_t)cfg->num_partitions;
    shard->node.share_sessions_max = (uint32_t)cfg->share_sessions_max;
    shard->node.replication_refused = cfg->replication_factor_strict;
    shard->node.topic_defaults = cfg->topic_defaults;
    shard->node.config = &shard->cfg;
    auth_configure(access_auth(shard->access), &(struct auth_settings){
                                                   .enabled = cfg->authorizer == CONFIG_AUTHORIZER_ON,
                                                   .allow_if_none = cfg->allow_if_no_acl,
                                                   .super_users = cfg->super_users,
                                               });
}

static void audit_take_config(struct shard *shard, const struct config *cfg)
{
    struct audit_settings settings = {.required = cfg->audit_required,
                                      .retention_ms = cfg->audit_retention_ms,
                                      .retention_bytes = cfg->audit_retention_bytes};
    int code = config_audit_classes(cfg->audit_include, &settings.classes, NULL);
    EL_ASSERT(code == 0); /* config.c has looked */
    audit_configure(shard->audit, &settings);
}

/* What was changed is told when it is in force. */
static void record_write(struct shard *shard)
{
    struct settings_record *record = shard->record;
    shard->record = NULL;
    if (record != NULL) {
        settings_record_write(record, shard->audit, shard->store);
    }
}

/* SHARD_STOP_NET is carried out, once. */
static void shard_drained(struct shard *shard)
{
    bool late = shard->io->now_ns >= shard->drain_timer.at_ns;
    shard->net_stopped = true;
    audit_stop(shard->audit); /* nobody asks for anything any more */
    if (!shard->streams_stopped && (leases_idle(shard->leases) || late)) {
        shard->streams_stopped = true;
        streams_stop(shard->streams);
    }
    if (!shard->drained && shard->streams_stopped &&
        ((streams_idle(shard->streams) && audit_idle(shard->audit)) || late)) {
        shard->drained = true;
        io_timer_cancel(shard->io, &shard->drain_timer);
        shard->done(shard);
    }
}

static void shard_on_net_stopped(void *arg)
{
    struct shard *shard = arg;
    OBJ_CHECK(shard, SHARD_THREAD);
    EL_ASSERT(shard->net != NULL); /* it stops once */
    net_free(shard->net);
    shard->net = NULL;
    api_destroy(&shard->api);
    shard_drained(shard);
}

static void shard_on_drain_timer(struct io_timer *timer)
{
    struct shard *shard = timer->arg;
    OBJ_CHECK(shard, SHARD_THREAD);
    shard_drained(shard);
}

static void shard_on_store_stopped(void *arg)
{
    struct shard *shard = arg;
    OBJ_CHECK(shard, SHARD_THREAD);
    shard->done(shard);
}

static void shard_on_command(struct io_message *message)
{
    struct shard *shard = EL_CONTAINER(message, struct shard, message);
    OBJ_CHECK(shard, SHARD_THREAD);
    switch (shard->command) {
    case SHARD_RELOAD: {
        EL_ASSERT(!shard->net_stopped);
        struct net_config limits = shard_net_limits(&shard->next_cfg);
        struct groups_config groups_cfg = groups_config_of(shard, &shard->next_cfg);
        struct leases_config leases_cfg = leases_config_of(shard, &shard->next_cfg);
        groups_cfg.memory_max = shard->groups.cfg.memory_max; /* takes a restart */
        shard_take_config(shard, &shard->next_cfg);
        audit_take_config(shard, &shard->next_cfg);
        record_write(shard);
        groups_configure(&shard->groups, &groups_cfg);
        leases_configure(shard->leases, &leases_cfg);
        net_set_limits(shard->net, &limits);
        net_set_tls(shard->net, shard->next_tls);
        store_shard_reload(shard->store, &shard->next_cfg.topic_defaults, (uint64_t)shard->next_cfg.disk_reserve_len);
        shard->done(shard);
        return;
    }
    case SHARD_RECORD:
        record_write(shard);
        shard->done(shard);
        return;
    case SHARD_STOP_NET: {
        EL_ASSERT(!shard->net_stopped);
        EL_ASSERT(!shard->drained);
        uint64_t deadline_ns = shard->io->now_ns + shard->drain_ns;
        shard->drain_timer.fire = shard_on_drain_timer;
        shard->drain_timer.arg = shard;
        io_timer_set(shard->io, &shard->drain_timer, deadline_ns);
        net_stop(shard->net, deadline_ns, shard_on_net_stopped, shard);
        store_tier_stop(shard->store, deadline_ns - shard->drain_ns / ANSWERS_SHARE);
        api_stop(&shard->api);
        groups_stop(&shard->groups);
        leases_stop(shard->leases);
        if (shard->index == 0) {
            redactor_stop(shard->redactor);
        }
        access_stop(shard->access);
        return;
    }
    case SHARD_STOP_ARCHIVE:
        EL_ASSERT(shard->drained);
        EL_ASSERT(!shard->archive_stopping);
        shard->archive_stopping = true;
        archiver_stop(shard->archiver, shard->io->now_ns + shard->archive_stop_ns);
        return;
    case SHARD_STOP_STORE:
        EL_ASSERT(shard->drained);
        EL_ASSERT(!shard->archive_stopping);
        store_shard_stop(shard->store, shard_on_store_stopped, shard);
        return;
    case SHARD_EXIT:
        shard->exiting = true;
        return;
    }
}

void shard_command(struct shard *shard, enum shard_command command)
{
    OBJ_CHECK(shard, SHARD_THREAD);
    shard->command = command;
    shard->message.run = shard_on_command;
    io_post(shard->io, &shard->message);
}

int shard_listen(struct shard *shard, const struct config *cfg, const struct net_config *net_cfg, struct el_error *err)
{
    OBJ_CHECK(shard, SHARD_THREAD);
    EL_ASSERT(shard->index < shard->shard_count);
    int error = access_create(shard->store, shard->access_peers, shard->shard_count, shard->access_keys,
                              &shard->access);
    if (error != 0) {
        return el_error_set(err, error, "users and rules of shard %" PRIu32 ": raise memory.max", shard->index);
    }
    error = audit_create(shard->store, &shard->audit);
    if (error != 0) {
        return el_error_set(err, error, "audit log of shard %" PRIu32 ": raise memory.max", shard->index);
    }
    shard_take_config(shard, cfg);
    audit_take_config(shard, cfg);
    shard->node.id = NODE_ID;
    shard->node.data_path = shard->data_path == NULL ? "" : shard->data_path;
    error = api_init(&shard->api, shard->store, &shard->node);
    if (error != 0) {
        return el_error_set(err, error, "scratch memory of shard %" PRIu32, shard->index);
    }
    struct groups_config groups_cfg = groups_config_of(shard, cfg);
    groups_init(&shard->groups, shard->store, shard->peers, &groups_cfg);
    shard->peers[shard->index] = &shard->groups;
    shard->api.groups = &shard->groups;
    struct leases_config leases_cfg = leases_config_of(shard, cfg);
    error = leases_create(shard->store, shard->lease_peers, &leases_cfg, &shard->leases);
    if (error != 0) {
        return el_error_set(err, error, "work groups of shard %" PRIu32 ": raise memory.max", shard->index);
    }
    shard->lease_peers[shard->index] = shard->leases;
    shard->api.leases = shard->leases;
    struct streams_config streams_cfg = {.memory_max = config_stream_memory_max(cfg) / shard->shard_count};
    error = streams_create(shard->store, shard->stream_peers, shard->stream_secret, &streams_cfg, &shard->streams, err);
    if (error != 0) {
        return el_error_wrap(err, "shard %" PRIu32, shard->index);
    }
    shard->stream_peers[shard->index] = shard->streams;
    shard->api.streams = shard->streams;
    shard->api.archiver = shard->archiver;
    shard->api.redactor = shard->redactor;
    shard->api.access = shard->access;
    shard->api.audit = shard->audit;
    shard->api.auth = access_auth(shard->access);
    shard->api.budget = shard->quota_budget;
    shard->api.sasl_secret = shard->stream_secret->bytes;
    shard->node.shard_count = shard->shard_count;
    const struct config_listeners *table = &cfg->listener_table;
    struct net_config own = *net_cfg;
    own.listeners = own.listeners == NULL ? table->list : own.listeners;
    own.listener_count = table->count;
    shard_net_calls(&own, &shard->api);
    error = net_start(shard->io, store_shard_buddy(shard->store), shard->metrics, &own, &shard->net, err);
    if (error != 0) {
        return error;
    }
    for (uint32_t i = 0; i < table->count; i++) {
        config_listener_advertised(&table->list[i], net_port(shard->net, i), &shard->node.advertised[i]);
    }
    return 0;
}

static void shard_on_settled(void *arg)
{
    struct shard *shard = arg;
    atomic_store_explicit(&shard->access_read, true, memory_order_release);
    if (shard->on_access != NULL) {
        shard->on_access(shard);
    }
}

static void shard_on_access(void *arg, int error)
{
    struct shard *shard = arg;
    OBJ_CHECK(shard, SHARD_THREAD);
    api_access_known(&shard->api); /* what cannot be read is told in the log; requests are refused one by one */
    shard->access_error = error;
    if (shard->index != 0 || error != 0) {
        shard_on_settled(shard);
    }
}

static void shard_on_removal(void *arg)
{
    struct shard *shard = arg;
    OBJ_CHECK(shard, SHARD_THREAD);
    if (shard->net != NULL) {
        net_review(shard->net, api_proof_gone, &shard->api);
    }
}

void shard_begin(struct shard *shard)
{
    OBJ_CHECK(shard, SHARD_THREAD);
    store_shard_start(shard->store);
    groups_start(&shard->groups);
    leases_start(shard->leases);
    streams_start(shard->streams);
    access_on_removal(shard->access, shard_on_removal, shard);
    access_start(shard->access, shard_on_access, shard_on_settled, shard);
    audit_start(shard->audit);
    if (shard->archiver != NULL) {
        archiver_start(shard->archiver);
    }
    if (shard->index == 0) {
        redactor_start(shard->redactor);
    }
    el_alloc_seal(true);
    metrics_set(shard->metrics, METRIC_MEMORY_MAX_BYTES, (int64_t)store_shard_buddy(shard->store)->len);
    shard->done(shard);
}

uint64_t shard_turn(struct shard *shard, uint64_t wait_until_ns)
{
    io_step(shard->io, wait_until_ns);
    atomic_store_explicit(&shard->turned_ns, shard->io->now_ns, memory_order_relaxed);
    if (shard->net_stopped && !shard->drained) {
        shard_drained(shard);
    }
    if (shard->archive_stopping && archiver_idle(shard->archiver)) {
        shard->archive_stopping = false;
        shard->done(shard);
    }
    wait_until_ns = store_shard_tick(shard->store);
    metrics_set(shard->metrics, METRIC_MEMORY_USED_BYTES, (int64_t)store_shard_buddy(shard->store)->used);
    return wait_until_ns;
}

static void *shard_main(void *arg)
{
    struct shard *shard = arg;
    OBJ_CHECK(shard, SHARD_THREAD);
    char name[16];
    snprintf(name, sizeof name, "shard-%u", shard->index);
    pthread_setname_np(pthread_self(), name);
    shard_begin(shard);
    uint64_t wait_until_ns = 0;
    while (!shard->exiting) {
        wait_until_ns = shard_turn(shard, wait_until_ns);
    }
    el_alloc_seal(false);
    return NULL;
}

int shard_start(struct shard *shard, struct el_error *err)
{
    OBJ_CHECK(shard, SHARD_THREAD);
    EL_ASSERT(!shard->running);
    /* Signals are the main thread's. */
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(&shard->thread, NULL, shard_main, shard);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc != 0) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "thread of shard %u: %s", shard->index, strerror(rc));
    }
    shard->running = true;
    return 0;
}

void shard_join(struct shard *shard)
{
    EL_ASSERT(shard->running);
    pthread_join(shard->thread, NULL);
    shard->running = false;
}

void shard_destroy_parts(struct shard *shard)
{
    groups_destroy(&shard->groups); /* nothing is under way any more */
    if (access_idle(shard->access)) {
        access_destroy(shard->access);
    }
    if (audit_idle(shard->audit)) {
        audit_destroy(shard->audit);
    }
    if (leases_idle(shard->leases)) {
        leases_destroy(shard->leases);
    }
    if (streams_idle(shard->streams)) {
        streams_destroy(shard->streams);
    }
}
