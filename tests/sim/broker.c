/* SPDX-License-Identifier: Apache-2.0
 *
 * What server.c does with threads and signals, in virtual time: start, SIGHUP, stop.
 */
#include "broker.h"

#include <core/alloc.h>
#include <core/assert.h>
#include <stdio.h>

#define STOP_STEPS_MAX 200000u
#define PORT 9092

static void on_done(struct shard *shard)
{
    struct broker *b = shard->arg;
    b->done_count++;
    b->w->stopped_count += b->stopping_store;
}

static void shard_make(struct broker *b, uint32_t index)
{
    struct world *w = b->w;
    struct shard *shard = &b->shards[index];
    memset(shard, 0, sizeof(*shard));
    shard->magic = SHARD_THREAD_MAGIC;
    shard->index = index;
    shard->peers = b->groups;
    shard->lease_peers = b->leases;
    shard->access_peers = b->access;
    shard->access_keys = &b->access_keys;
    shard->stream_peers = b->streams;
    shard->stream_secret = &b->secret;
    shard->shard_count = w->shard_count;
    shard->io = w->ios[index];
    shard->metrics = w->metrics[index];
    shard->store = store_shard_at(w->store, index);
    shard->drain_ns = b->drain_ns;
    shard->done = on_done;
    shard->arg = b;
    shard->node.change_settings = settings_desk_post;
    shard->node.change_settings_arg = &b->desk;
}

static void command_all(struct broker *b, enum shard_command command)
{
    b->done_count = 0;
    for (uint32_t i = 0; i < b->w->shard_count; i++) {
        shard_command(&b->shards[i], command);
    }
}

/* --- the configuration -------------------------------------------------------------------------------------------- */

static void flag_word(struct flags *flags, const char *word)
{
    EL_ASSERT(flags->count < FLAGS_MAX);
    snprintf(flags->text[flags->count], FLAG_LEN_MAX, "%s", word);
    flags->argv[flags->count] = flags->text[flags->count];
    flags->argv[++flags->count] = NULL;
}

static void flag_add(struct flags *flags, const char *name, long long value)
{
    char word[FLAG_LEN_MAX];
    snprintf(word, sizeof(word), "%s%lld", name, value);
    flag_word(flags, word);
}

static int64_t pick(struct world *w, const int64_t *values, uint32_t count)
{
    return values[world_below(w, count)];
}

/* Values that matter to clients. The topic of commits has no settings of its own for when it is compacted. */
static void flags_draw(struct broker *b, struct flags *flags)
{
    struct world *w = b->w;
    int64_t *rules = b->rules.at[b->rules.begun];
    rules[RULE_SESSION_MIN_MS] = pick(w, (const int64_t[]){1, 1, 1, 100, 180}, 5);
    rules[RULE_SESSION_MAX_MS] = pick(w, (const int64_t[]){1800000, 1800000, 220}, 3);
    rules[RULE_NOTE_LEN] = pick(w, (const int64_t[]){4096, 4096, 40, 4}, 4);
    rules[RULE_RETENTION_MINUTES] = pick(w, (const int64_t[]){1, 1, 2, 10080}, 4);
    rules[RULE_FETCH_LEN] = pick(w, (const int64_t[]){57671680, 57671680, 20000, 1024}, 4);
    rules[RULE_BATCH_LEN] = pick(w, (const int64_t[]){1048588, 1048588, 1048588, 3000}, 4);
    flags->count = 0;
    flag_word(flags, "evlogd");
    flag_word(flags, "--ephemeral=true"); /* where the data lies is the machine's business */
    flag_word(flags, b->clients->rules_on ? "--authorizer=on" : "--authorizer=off");
    flag_word(flags, "--super-users=User:ANONYMOUS");
    flag_add(flags, "--group-min-session-timeout-ms=", rules[RULE_SESSION_MIN_MS]);
    flag_add(flags, "--group-max-session-timeout-ms=", rules[RULE_SESSION_MAX_MS]);
    flag_add(flags, "--offset-metadata-max-bytes=", rules[RULE_NOTE_LEN]);
    flag_add(flags, "--offsets-retention-minutes=", rules[RULE_RETENTION_MINUTES]);
    flag_add(flags, "--offsets-retention-check-interval-ms=",
             b->clients->groups_end ? pick(w, (const int64_t[]){200, 1000, 5000}, 3) : 86400000);
    flag_add(flags, "--fetch-max-bytes=", rules[RULE_FETCH_LEN]);
    flag_add(flags, "--max-message-bytes=", rules[RULE_BATCH_LEN]);
    flag_add(flags, "--group-initial-rebalance-delay-ms=", world_chance(w, 300000) ? 0 : (int64_t)world_below(w, 30));
    flag_add(flags, "--offsets-topic-num-partitions=", 1 + (int64_t)world_below(w, 4));
    flag_add(flags, "--disk-reserve-bytes=", pick(w, (const int64_t[]){0, 0, 65536}, 3));
    flag_add(flags, "--max-connections=", pick(w, (const int64_t[]){10000, 10000, 10}, 3));
    flag_add(flags, "--connections-max-idle-ms=", pick(w, (const int64_t[]){600000, 600000, 1000}, 3));
    flag_add(flags, "--max-compaction-lag-ms=", pick(w, (const int64_t[]){1, 500, 20000}, 3));
    flag_add(flags, "--min-cleanable-dirty-ratio=", (int64_t)world_below(w, 2));
    flag_add(flags, "--delete-retention-ms=", pick(w, (const int64_t[]){0, 5000, 86400000}, 3));
}

/* The settings that are read at a start are those that a reload has taken. */
static void config_took(struct broker *b)
{
    b->w->cfg.topic_defaults = b->config.topic_defaults;
    b->w->cfg.disk_reserve_len = (uint64_t)b->config.disk_reserve_len;
}

/* The configuration with what requests have set. A file that was replaced whole can always be read.
 * returns false: it is damaged, and the settings stay as they are */
static bool config_again(struct broker *b, struct el_slice requested)
{
    struct el_error err = {0};
    const struct config_sources from = {b->flags.count, b->flags.argv, NULL};
    if (config_reload_requested(&b->config, &from, &requested, &err) != 0) {
        bool damaged = b->w->rotten > 0 || b->w->lying;
        if (damaged) {
            return false;
        }
        world_violation(b->w, "settings that were kept cannot be read: %s", err.text);
    }
    config_took(b);
    return true;
}

static void take_everywhere(struct broker *b)
{
    for (uint32_t i = 0; i < b->w->shard_count; i++) {
        b->shards[i].next_cfg = b->config;
    }
    command_all(b, SHARD_RELOAD);
}

static void reload(struct broker *b)
{
    struct el_error err = {0};
    struct el_buffer text = {.err = 0};
    struct disk *disk = sim_disk_as_disk(b->w->disk);
    (void)settings_desk_settle(&b->desk, disk, &err);
    if (b->rules.begun + 1 < RULES_MAX && settings_desk_read(disk, &text, &err) == 0) {
        const struct flags before = b->flags;
        b->rules.begun++;
        flags_draw(b, &b->flags);
        b->reloading = config_again(b, el_buffer_slice(&text));
        if (b->reloading) {
            take_everywhere(b);
        } else {
            b->flags = before;
            b->rules.begun--;
        }
    }
    el_buffer_free(&text);
}

/* What the main thread does for requests, one at a time; nobody waits for it but who asked. */
static void change_settings(struct broker *b)
{
    struct disk *disk = sim_disk_as_disk(b->w->disk);
    const struct config_sources from = {b->flags.count, b->flags.argv, NULL};
    struct el_buffer kept = {.err = 0};
    if (b->changing != NULL) {
        settings_desk_answer(b->changing);
        b->changing = NULL;
        return;
    }
    struct broker_settings_op *op = settings_desk_take(&b->desk);
    if (op == NULL) {
        return;
    }
    int error = settings_desk_keep(&b->desk, disk, &from, op, &kept);
    if (error == 0 && !op->validate_only) {
        (void)config_again(b, el_buffer_slice(&kept));
        take_everywhere(b);
        b->changing = op;
    } else {
        settings_desk_answer(op);
    }
    el_buffer_free(&kept);
}

/* What requests have set is there before anything else is. */
static void settings_up(struct broker *b)
{
    struct el_error err = {0};
    struct el_buffer text = {.err = 0};
    settings_desk_init(&b->desk, -1);
    b->changing = NULL;
    int code = settings_desk_read(sim_disk_as_disk(b->w->disk), &text, &err);
    EL_ASSERT(code == 0);
    (void)config_again(b, el_buffer_slice(&text));
    el_buffer_free(&text);
}

static void reload_look(struct broker *b)
{
    if (b->reloading && b->done_count == b->w->shard_count) {
        b->reloading = false;
        rules_settle(&b->rules);
    }
}

/* Where a device lied, or a bit flipped in it, the file is no file of keys any more. A start without it is refused, and
 * the operator puts the copy in its place. */
static void access_keys_up(struct broker *b)
{
    struct disk *disk = b->w->ios[0]->disk;
    struct el_access_keys copy = b->access_keys.keys;
    int code = access_keys_load(disk, &b->access_keys, NULL);
    if (code == EVLOG_ERR_INVALID_CONFIG && copy.count > 0) {
        code = access_keys_save(disk, &copy);
        EL_ASSERT(code == 0);
        code = access_keys_load(disk, &b->access_keys, NULL);
    }
    EL_ASSERT(code == 0);
}

/* --- life --------------------------------------------------------------------------------------------------------- */

static int up(struct world *w, struct el_error *up_err)
{
    struct broker *b = w->upper_arg;
    b->stopping_store = b->stopping_net = b->reloading = false;
    b->done_count = 0;
    rules_settle(&b->rules);
    atomic_store(&b->conn_total, 0);
    memset(&b->census, 0, sizeof b->census);
    memset(&b->lent, 0, sizeof b->lent);
    io_random(w->ios[0], b->census.secret, sizeof b->census.secret);
    sim_disk_shelter(w->disk, true); /* no streams here: their own mode cuts the power at each call */
    settings_up(b);
    int secret = streams_secret_load(w->ios[0], &b->secret, NULL);
    EL_ASSERT(secret == 0);
    access_keys_up(b);
    int redacts = redactor_create(w->store, NULL, w->ios[0]->disk, &b->redactor, NULL);
    EL_ASSERT(redacts == 0);
    for (uint32_t i = 0; i < w->shard_count; i++) {
        struct el_error err = {0};
        struct net_config net_cfg = b->limits;
        shard_make(b, i);
        b->shards[i].redactor = b->redactor;
        struct config_listener place = b->config.listener_table.list[0];
        place.address.port = PORT;
        net_cfg.listeners = &place;
        net_cfg.join = i > 0;
        net_cfg.conn_total = &b->conn_total;
        net_cfg.census = &b->census;
        net_cfg.lent = &b->lent;
        int code = shard_listen(&b->shards[i], &b->config, &net_cfg, &err);
        EL_ASSERT(code == 0);
    }
    sim_disk_shelter(w->disk, false);
    for (uint32_t i = 0; i < w->shard_count; i++) {
        shard_begin(&b->shards[i]);
        el_alloc_seal(false);
    }
    (void)up_err;
    return 0;
}

/* Step until every shard has carried out the last command, or for very long. returns false when the machine crashed */
static bool shards_done(struct broker *b)
{
    for (uint32_t i = 0; i < STOP_STEPS_MAX && b->done_count < b->w->shard_count; i++) {
        if (!world_step(b->w)) {
            return false;
        }
    }
    return true;
}

static bool stop(struct world *w)
{
    struct broker *b = w->upper_arg;
    if (!shards_done(b)) { /* one command after the other */
        return false;
    }
    if (b->changing != NULL) {
        change_settings(b);
    }
    b->stopping_net = true;
    command_all(b, SHARD_STOP_NET);
    if (!shards_done(b)) {
        return false;
    }
    if (b->done_count < w->shard_count) {
        world_violation(w, "stuck: the listeners did not stop");
        return false;
    }
    b->stopping_store = true;
    command_all(b, SHARD_STOP_STORE);
    return true;
}

static void down(struct world *w)
{
    struct broker *b = w->upper_arg;
    bool stopped = b->stopping_store && w->stopped_count == w->shard_count;
    settings_desk_free(&b->desk);
    if (stopped && sim_net_open_count(w->net) != 0) {
        world_violation(w, "after a clean stop %u sockets are open", sim_net_open_count(w->net));
    }
    redactor_destroy(b->redactor);
    b->redactor = NULL;
    for (uint32_t i = 0; i < w->shard_count && stopped; i++) {
        groups_destroy(&b->shards[i].groups);
        access_destroy(b->shards[i].access);
        audit_destroy(b->shards[i].audit);
        leases_destroy(b->shards[i].leases);
        streams_destroy(b->shards[i].streams);
    }
    sim_net_off(w->net);
    clients_lose(b->clients);
}

static uint64_t turn(struct world *w, uint32_t shard)
{
    struct broker *b = w->upper_arg;
    el_alloc_seal(true);
    uint64_t wish_ns = shard_turn(&b->shards[shard], 0);
    el_alloc_seal(false);
    return wish_ns;
}

static void step(struct world *w)
{
    struct broker *b = w->upper_arg;
    if (b->stopping_store) {
        return; /* nobody listens any more */
    }
    reload_look(b);
    bool ready = b->done_count == w->shard_count && !b->stopping_net;
    if (b->stopping_net) {
        settings_desk_close(&b->desk);
    } else if (ready && b->changing == NULL && sim_disk_fault(w->disk, FAULT_RELOAD)) {
        reload(b);
    } else if (ready) {
        change_settings(b);
    }
    clients_step(b->clients);
}

static uint64_t next(const struct world *w)
{
    const struct broker *b = w->upper_arg;
    return b->stopping_store ? UINT64_MAX : clients_next(b->clients);
}

static const struct world_upper broker_upper =
    {.up = up, .stop = stop, .down = down, .turn = turn, .step = step, .next = next};

/* Limits small enough to be met. */
static void choose_limits(struct broker *b)
{
    struct world *w = b->w;
    b->limits = shard_net_limits(&b->config);
    if (world_chance(w, 200000)) {
        b->limits.conn_count_max = 8 + (uint32_t)world_below(w, 7);
    }
    if (world_chance(w, 300000)) {
        b->limits.pipeline_max = 1 + (uint32_t)world_below(w, 4);
    }
    if (world_chance(w, 300000)) {
        b->limits.pipeline_bytes_max = 1 + world_below(w, 20000);
        b->limits.backlog_bytes_max = 1 + world_below(w, 20000);
    }
    if (world_chance(w, 200000)) {
        b->limits.frame_ns_max = 1000000 + world_below(w, 100000000);
        b->limits.send_ns_max = 1000000 + world_below(w, 100000000);
    }
    if (world_chance(w, 200000)) {
        b->limits.idle_ns_max = 1000000 + world_below(w, 100000000);
    }
    if (world_chance(w, 200000)) {
        b->limits.recv_bytes_max = 400000 + world_below(w, 400000);
    }
    if (world_chance(w, 200000)) {
        b->limits.address_conn_count_max = 8 + (uint32_t)world_below(w, 7);
    }
    if (world_chance(w, 200000)) {
        b->limits.principal_bytes_max = 1 + (size_t)world_below(w, 100000);
    }
    if (world_chance(w, 100000)) {
        w->memory_tight = true;
        w->memory_len = (size_t)(4 + world_below(w, 6)) << 20;
    }
    b->drain_ns = world_chance(w, 300000) ? world_below(w, 100000000) : 20000000000u;
}

void broker_init(struct broker *b, struct world *w, struct clients *clients)
{
    struct el_error err = {0};
    memset(b, 0, sizeof(*b));
    b->w = w;
    b->clients = clients;
    clients->rules = &b->rules;
    clients->groups_end = world_chance(w, 600000);
    clients->rules_on = world_chance(w, 500000);
    flags_draw(b, &b->flags);
    int code = config_load(&b->config, b->flags.count, b->flags.argv, NULL, &err);
    EL_ASSERT(code == 0);
    config_took(b);
    w->cfg.retention_interval_ms = (uint32_t)pick(w, (const int64_t[]){20, 100, 1000}, 3);
    choose_limits(b);
    w->upper = &broker_upper;
    w->upper_arg = b;
}

bool broker_access_unread(const struct broker *b)
{
    bool unread = false;
    for (uint32_t i = 0; i < b->w->shard_count; i++) {
        unread = unread || (!access_known(b->access[i]) && !access_failed(b->access[i]));
    }
    return unread;
}

void broker_access_check(const struct broker *b)
{
    struct world *w = b->w;
    for (uint32_t i = 0; i < w->shard_count; i++) {
        if (!access_known(b->access[i])) {
            return; /* what has rotted may be refused */
        }
    }
    for (uint32_t i = 0; i < w->shard_count; i++) {
        for (uint32_t k = 0; k < CLIENT_WARDENS && w->violation[0] == 0; k++) {
            warden_started(&b->clients->wardens[k], access_auth(b->access[i]));
        }
    }
}

uint32_t broker_requests(const struct broker *b)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < b->w->shard_count; i++) {
        count += b->shards[i].net == NULL ? 0 : net_request_count(b->shards[i].net);
    }
    return count;
}
