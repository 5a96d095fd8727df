/* SPDX-License-Identifier: Apache-2.0
 *
 * Build, run, take down. Runs on the main thread, which only waits for signals and for shards once all is up.
 *
 *   1. data directory, memory, metrics and io of each shard; then the store recovers
 *   2. shard 0 binds the Kafka ports, the others take the ports it got; a thread for each; the HTTP thread; the ready
 *      line
 *   3. SIGHUP reads the configuration again and hands it to the shards
 *   4. SIGTERM, SIGINT: all shards answer what they have read and close their connections, in DRAIN_NS at the latest;
 *      only then all write their final checkpoint, because a request on one shard may need the store of another; then
 *      the threads end
 *   5. a second signal, a second or more after the first, ends the process at once: recovery finds what was
 *      acknowledged
 *
 * Failing at any step undoes the steps before it in reverse order (server_free looks at what is there).
 */
#include <access_gate.h>
#include <archive_keys.h>
#include <config/config_target.h>
#include <core/alloc.h>
#include <core/logger.h>
#include <data_dir.h>
#include <from_archive.h>
#include <http_port.h>
#include <notify.h>
#include <ready.h>
#include <reload.h>
#include <server.h>
#include <settings_desk.h>
#include <settings_record.h>
#include <shard.h>
#include <tls_files.h>
#include <watchdog.h>

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define DRAIN_NS 20000000000u         /* a stop waits so long for clients to take their answers */
#define SECOND_SIGNAL_NS 1000000000u  /* sooner it is the same demand: timeout(1) and Ctrl-C reach a process twice */
#define SHARD_MEMORY_MIN (16u << 20)  /* less cannot take a batch of the default max.message.bytes */
#define SHARD_MEMORY_GOOD (32u << 20) /* evlogd's own choice of shards leaves each at least this much */
#define ASKED_NS_MAX 2000000000u      /* a start waits so long for users and rules, and the archive's first word */
#define ASKED_LOOK_MS 100
#define CERTIFICATE_LOOK_MS 3600000 /* hourly */
#define RECORD_LOOK_MS 100          /* while a record of settings waits for the one before it */
#define CERTIFICATE_SAY_NS (UINT64_C(86400) * 1000000000u)

struct server {
    const struct server_args *args;
    struct config *cfg;
    struct data_dir dir;
    struct disk *disk;
    uint32_t shard_count;
    struct shard *shards;     /* [shard_count] */
    struct metrics **metrics; /* [shard_count] of each, for rendering */
    struct groups *groups[EL_SHARD_COUNT_MAX];
    struct leases *leases[EL_SHARD_COUNT_MAX];
    struct access *access[EL_SHARD_COUNT_MAX];
    struct access_keys access_keys;
    struct streams *streams[EL_SHARD_COUNT_MAX];
    struct stream_secret stream_secret;
    struct quota_budget quota_budget; /* of all shards */
    struct store *store;
    struct object_store *bucket; /* NULL: there is no archive */
    struct archive *archive;
    struct redactor *redactor;
    struct el_private_key *archive_keys[EL_SIGN_KEYS_MAX];
    size_t archive_key_count;
    struct http_port *http; /* NULL: there is none */
    struct tls_files tls;
    int signal_fd;
    int news_fd;               /* eventfd: the archive has news */
    struct settings_desk desk; /* changes of settings; wakes by news_fd */
    bool stopping;             /* what comes to the desk is answered with CLOSED */
    bool again;                /* the data directory was healed: start anew */
    struct el_error refusal;   /* code 0: none; users and rules cannot be opened */
    int done_fd;               /* eventfd: shards that have carried out a command */
    bool stop_wanted;          /* a signal asked for the end */
    bool reload_wanted;        /* SIGHUP has come, and what it asks for is not done */
    uint64_t stop_wanted_ns;
    struct settings_record record;
    _Atomic uint32_t conn_total; /* Kafka connections of all shards */
    struct census census;        /* who has how many of them */
    struct lent lent;            /* who holds how much of whose memory */
};

static uint64_t mono_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* --- shards and signals ------------------------------------------------------------------------------------------- */

/* Any shard's thread. */
static void server_on_shard_done(struct shard *shard)
{
    struct server *server = shard->arg;
    uint64_t one = 1;
    ssize_t n = write(server->done_fd, &one, sizeof one);
    EL_ASSERT(n == sizeof one);
}

/* Take one signal; 0 when there is none. A second demand to stop ends the process here. */
static int take_signal(struct server *server)
{
    struct signalfd_siginfo info;
    if (read(server->signal_fd, &info, sizeof info) != sizeof info) {
        return 0;
    }
    if (info.ssi_signo == SIGHUP) {
        server->reload_wanted = true;
        return SIGHUP;
    }
    if (server->stop_wanted && mono_ns() - server->stop_wanted_ns < SECOND_SIGNAL_NS) {
        return 0;
    }
    if (server->stop_wanted) {
        el_log(EL_LOG_WARN, "server", "second signal: ending at once, the next start recovers");
        data_dir_close(&server->dir);
        _exit(EXIT_FAILURE);
    }
    server->stop_wanted = true;
    server->stop_wanted_ns = mono_ns();
    el_log(EL_LOG_INFO, "server", "stopping: %s", info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM");
    notify_service("STOPPING=1\nSTATUS=answering what has been asked, then a checkpoint");
    return (int)info.ssi_signo;
}

/* Wait until every shard has answered. Signals are heard meanwhile. */
static void wait_for_shards(struct server *server, uint32_t count)
{
    struct pollfd fds[] = {{.fd = server->done_fd, .events = POLLIN},
                           {.fd = server->signal_fd, .events = POLLIN},
                           {.fd = server->news_fd, .events = POLLIN}};
    uint64_t answered = 0;
    while (answered < count) {
        if (poll(fds, server->stopping ? 3 : 2, -1) < 0) {
            EL_ASSERT(errno == EINTR);
            continue;
        }
        if ((fds[1].revents & POLLIN) != 0) {
            take_signal(server);
        }
        uint64_t n;
        if (server->stopping && (fds[2].revents & POLLIN) != 0 && read(server->news_fd, &n, sizeof n) == sizeof n) {
            settings_desk_close(&server->desk);
        }
        if ((fds[0].revents & POLLIN) != 0 && read(server->done_fd, &n, sizeof n) == sizeof n) {
            answered += n;
        }
    }
    EL_ASSERT(answered == count);
}

static void command_all(struct server *server, enum shard_command command)
{
    for (uint32_t i = 0; i < server->shard_count; i++) {
        shard_command(&server->shards[i], command);
    }
    wait_for_shards(server, server->shard_count);
}

static int open_signals(struct server *server, struct el_error *err)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    server->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    server->done_fd = eventfd(0, EFD_CLOEXEC);
    server->news_fd = eventfd(0, EFD_CLOEXEC);
    settings_desk_init(&server->desk, server->news_fd);
    if (server->signal_fd < 0 || server->done_fd < 0 || server->news_fd < 0) {
        return el_error_set(err, el_error_from_errno(errno), "signalfd or eventfd: %s", strerror(errno));
    }
    return 0;
}

/* --- building ----------------------------------------------------------------------------------------------------- */

static int open_io(struct server *server, const struct io_config *io_cfg, struct io **io, struct el_error *err)
{
    int wanted = server->cfg->io;
    if (wanted != CONFIG_IO_POSIX) {
        struct el_error refused = {0};
        int error = io_uring_open(io_cfg, io, &refused);
        if (error == 0) {
            return 0;
        }
        if (wanted == CONFIG_IO_URING) {
            el_error_set(err, error, "io_uring: %s", refused.text);
            return CONFIG_BLAME(server->cfg, err, error, CONFIG_io);
        }
        el_log(EL_LOG_WARN, "server", "io_uring is not available, using the posix backend: %s", refused.text);
        server->cfg->io = CONFIG_IO_POSIX; /* all shards alike */
    }
    return io_posix_open(io_cfg, io, err);
}

/* Any thread. */
static void server_on_news(void *arg)
{
    struct server *server = arg;
    uint64_t one = 1;
    ssize_t n = write(server->news_fd, &one, sizeof one);
    EL_ASSERT(n == sizeof one);
}

/* Any shard's thread. */
static void server_on_access(struct shard *shard)
{
    server_on_news(shard->arg);
}

static int build_shards(struct server *server, struct el_error *err)
{
    uint64_t memory = config_memory_max(server->cfg) / server->shard_count;
    if (memory < SHARD_MEMORY_MIN) {
        int code = el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                                "memory.max leaves %" PRIu64 " bytes for each of %" PRIu32
                                " shards, at least %u are needed: raise memory.max or lower shards",
                                memory, server->shard_count, SHARD_MEMORY_MIN);
        return CONFIG_BLAME(server->cfg, err, code, CONFIG_memory_max, CONFIG_shards);
    }
    struct io_config io_cfg = {
        .disk = server->disk,
        .commit = (enum io_commit_method)server->cfg->io_commit,
        .shard_count = server->shard_count,
        .archive = server->cfg->archive_url[0] != 0,
        .lock_fd = server->dir.lock_fd,
    };
    for (uint32_t i = 0; i < server->shard_count; i++) {
        struct shard *shard = &server->shards[i];
        shard->magic = SHARD_THREAD_MAGIC;
        shard->index = i;
        shard->peers = server->groups;
        shard->lease_peers = server->leases;
        shard->access_peers = server->access;
        shard->access_keys = &server->access_keys;
        shard->on_access = server_on_access;
        shard->stream_peers = server->streams;
        shard->stream_secret = &server->stream_secret;
        shard->quota_budget = &server->quota_budget;
        shard->shard_count = server->shard_count;
        shard->drain_ns = DRAIN_NS;
        shard->done = server_on_shard_done;
        shard->arg = server;
        int error = el_buddy_init(&shard->buddy, memory, err);
        if (error != 0) {
            return error;
        }
        error = metrics_create(&shard->metrics);
        if (error != 0) {
            return el_error_set(err, error, "metrics: out of memory");
        }
        server->metrics[i] = shard->metrics;
        error = open_io(server, &io_cfg, &shard->io, err);
        if (error != 0) {
            return error;
        }
    }
    return 0;
}

static int open_store(struct server *server, struct el_error *err)
{
    const struct config *cfg = server->cfg;
    struct store_config store_cfg;
    store_config_init(&store_cfg);
    store_cfg.shard_count = server->shard_count;
    store_cfg.memory_max = config_memory_max(cfg);
    store_cfg.journal_ring_len = (uint64_t)cfg->journal_ring_len;
    store_cfg.journal_slot_len = (uint64_t)cfg->journal_slot_len;
    store_cfg.disk_reserve_len = (uint64_t)cfg->disk_reserve_len;
    store_cfg.retention_interval_ms = (uint32_t)cfg->retention_check_ms;
    store_cfg.compact_map_len = (uint64_t)cfg->compact_map_len / server->shard_count;
    store_cfg.accept_clock = cfg->accept_clock;
    store_cfg.topic_defaults = cfg->topic_defaults;
    struct io *ios[EL_SHARD_COUNT_MAX];
    struct el_buddy *buddies[EL_SHARD_COUNT_MAX];
    for (uint32_t i = 0; i < server->shard_count; i++) {
        ios[i] = server->shards[i].io;
        buddies[i] = &server->shards[i].buddy;
    }
    int error = store_open(&store_cfg, server->disk, ios, buddies, server->metrics, &server->store, err);
    if (error != 0) {
        return error;
    }
    EL_ASSERT(store_shard_count(server->store) == server->shard_count);
    quota_budget_init(&server->quota_budget);
    io_random(server->shards[0].io, server->quota_budget.secret, sizeof server->quota_budget.secret);
    io_random(server->shards[0].io, server->census.secret, sizeof server->census.secret);
    return streams_secret_load(server->shards[0].io, &server->stream_secret, err);
}

/* Nothing is asked of the object store yet: an unreachable one holds up no start. */
static int open_archive(struct server *server, struct el_error *err)
{
    const struct config *cfg = server->cfg;
    struct archive_config archive_cfg;
    if (cfg->archive_url[0] == 0) {
        return 0;
    }
    int error = cfg->archive_key_file[0] != 0
                    ? archive_keys_read(cfg->archive_key_file, server->archive_keys, &server->archive_key_count, err)
                    : archive_keys_own(server->disk, server->dir.real_path, server->archive_keys,
                                       &server->archive_key_count, err);
    bool named = error != 0 && cfg->archive_key_file[0] != 0;
    int blamed = error != 0 ? CONFIG_archive_key_file : CONFIG_archive_url;
    error = error != 0 ? error : object_store_open(cfg->archive_url, true, &server->bucket, err);
    if (named || error == EVLOG_ERR_ARGUMENT) { /* it fails again until somebody has corrected it */
        error = err->code = EVLOG_ERR_INVALID_CONFIG;
    }
    if (error != 0) {
        (void)el_error_wrap(err, "archive");
        return CONFIG_BLAME(cfg, err, error, blamed);
    }
    archive_config_init(&archive_cfg);
    archive_cfg.bucket = server->bucket;
    archive_cfg.key_count = server->archive_key_count;
    memcpy(archive_cfg.keys, server->archive_keys, sizeof archive_cfg.keys);
    archive_cfg.lag_ms = (uint64_t)cfg->archive_lag_ms;
    archive_cfg.segment_len = (uint64_t)cfg->archive_segment_len;
    archive_cfg.segment_ms = (uint64_t)cfg->archive_segment_ms;
    archive_cfg.replaced_ms = (uint64_t)cfg->archive_replaced_ms;
    archive_cfg.hold_ms = (uint64_t)cfg->archive_hold_ms;
    archive_cfg.heals = cfg->archive_silent_ms >= 0;
    archive_cfg.silent_ms = cfg->from_archive || !archive_cfg.heals ? 0 : (uint64_t)cfg->archive_silent_ms;
    archive_cfg.memory_max = config_archive_memory_max(cfg);
    archive_cfg.news = server_on_news;
    archive_cfg.news_arg = server;
    archive_cfg.orphan_ms = cfg->archive_orphan_ms < 0 ? UINT64_MAX : (uint64_t)cfg->archive_orphan_ms;
    error = archive_create(&archive_cfg, server->store, &server->archive, err);
    for (uint32_t i = 0; i < server->shard_count && error == 0; i++) {
        struct shard *shard = &server->shards[i];
        shard->archiver = archive_shard(server->archive, i);
        shard->archive_stop_ns = (uint64_t)cfg->archive_stop_ms * 1000000u;
        shard->node.archive_url = server->bucket->url;
    }
    return error;
}

static int open_redactor(struct server *server, struct el_error *err)
{
    int error = redactor_create(server->store, server->archive, server->disk, &server->redactor, err);
    for (uint32_t i = 0; i < server->shard_count; i++) {
        server->shards[i].redactor = server->redactor;
    }
    return error;
}

static int open_listeners(struct server *server, struct el_error *err)
{
    const struct config *cfg = server->cfg;
    struct config_listeners places = cfg->listener_table;
    for (uint32_t i = 0; i < server->shard_count; i++) {
        struct shard *shard = &server->shards[i];
        shard->store = store_shard_at(server->store, i);
        shard->data_path = server->dir.real_path;
        if (!cfg->ephemeral) {
            shard->node.change_settings = settings_desk_post;
            shard->node.change_settings_arg = &server->desk;
        }
        struct net_config net_cfg = shard_net_limits(cfg);
        net_cfg.listeners = places.list;
        memcpy(net_cfg.tls, server->tls.tls, sizeof net_cfg.tls);
        memcpy(net_cfg.principal_rules, server->tls.rules, sizeof net_cfg.principal_rules);
        net_cfg.join = i > 0;
        net_cfg.conn_total = &server->conn_total;
        net_cfg.census = &server->census;
        net_cfg.lent = &server->lent;
        int error = shard_listen(shard, cfg, &net_cfg, err);
        if (error != 0) {
            return error;
        }
        for (uint32_t k = 0; k < places.count; k++) {
            places.list[k].address.port = net_port(shard->net, k);
        }
    }
    return 0;
}

/* --- HTTP --------------------------------------------------------------------------------------------------------- */

static int start_http(struct server *server, uint16_t *port, struct el_error *err)
{
    struct http_port_config port_cfg = {
        .cfg = server->cfg,
        .shards = server->shards,
        .metrics = server->metrics,
        .shard_count = server->shard_count,
        .store = server->store,
        .archive = server->archive,
        .tls = &server->tls,
    };
    return server->cfg->http.off ? 0 : http_port_start(&port_cfg, &server->http, port, err);
}

/* --- running ------------------------------------------------------------------------------------------------------ */

/* taken: what the files have is in force. */
static void show_certificate(struct server *server, bool taken)
{
    metrics_set(server->metrics[0], METRIC_CERTIFICATE_REFUSED, !taken);
    metrics_set(server->metrics[0], METRIC_CERTIFICATE_END, tls_files_end_s(&server->tls));
}

static int start_threads(struct server *server, struct el_error *err)
{
    uint32_t started = 0;
    int error = 0;
    show_certificate(server, true);
    for (; started < server->shard_count && error == 0; started++) {
        error = shard_start(&server->shards[started], err);
    }
    wait_for_shards(server, error == 0 ? started : started - 1);
    return error;
}

/* Defaults of topics that are taken, because configurations written for Kafka have them, but change nothing. */
static void say_without_effect(const struct config *cfg)
{
    char names[OVERRIDE_NAMES_TEXT_MAX];
    if (topic_config_without_effect(&cfg->topic_defaults, NULL, names, sizeof names)[0] != '\0') {
        el_log(EL_LOG_WARN, "server", "defaults of topics: kept and shown, but without effect in evlogd: %s", names);
    }
}

/* What was changed on the machine is to be in the audit log, whoever had it read; what the request has changed is there
 * already. */
static void record_reload(struct server *server, const struct broker_settings_op *op)
{
    if (op != NULL) {
        settings_record_skip(&server->record, server->cfg, op->changes, op->change_count);
    }
    if (settings_record_make(&server->record, server->cfg)) {
        server->shards[0].record = &server->record;
    }
}

/* op, requested: what a request changes, and all that requests have set; NULL: as its file says. returns whether all of
 * it is in force */
static bool reload(struct server *server, const char *why, const struct broker_settings_op *op,
                   const struct el_slice *requested)
{
    const struct server_args *args = server->args;
    const struct config_sources from = {args->argc, args->argv, args->environ};
    struct reload fresh = {.why = why, .cfg = server->cfg, .tls = &server->tls, .http = server->http};
    if (reload_read(&fresh, &from, requested) != 0) {
        metrics_set(server->metrics[0], METRIC_RELOAD_REFUSED, 1);
        return false;
    }
    say_without_effect(server->cfg);
    show_certificate(server, fresh.certified);
    record_reload(server, op);
    for (uint32_t i = 0; i < server->shard_count; i++) {
        server->shards[i].next_cfg = *server->cfg;
        memcpy(server->shards[i].next_tls, server->tls.tls, sizeof server->shards[i].next_tls);
    }
    command_all(server, SHARD_RELOAD);
    http_port_renew(server->http, server->cfg, &server->tls, &fresh.tokens);
    tls_files_close(&fresh.replaced);
    metrics_set(server->metrics[0], METRIC_RELOAD_REFUSED, !fresh.whole);
    el_log(EL_LOG_INFO, "server", "%s: the configuration was read again", why);
    return fresh.whole;
}

/* The next of what requests want changed: it is kept, and in force on all shards, before it is answered. One at a time,
 * so that signals are heard however many come. */
static void change_settings(struct server *server)
{
    const struct config_sources from = {server->args->argc, server->args->argv, server->args->environ};
    struct broker_settings_op *op = settings_desk_take(&server->desk);
    if (op == NULL) {
        return;
    }
    struct el_buffer kept = {.err = 0};
    settings_desk_note(op, server->cfg);
    int error = settings_desk_keep(&server->desk, server->disk, &from, op, &kept);
    if (error == 0 && !op->validate_only) {
        char why[AUTH_PRINCIPAL_LEN_MAX + 32];
        snprintf(why, sizeof why, "settings changed by %s", op->who);
        (void)reload(server, why, op, &(struct el_slice){kept.data, kept.len});
    }
    el_buffer_free(&kept);
    settings_desk_answer(op);
    server_on_news(server); /* perhaps there is another one */
}

/* Signals, and news of the archive. returns false: nothing came for so long */
static bool wait_for_news(struct server *server, int wait_ms, bool *signalled)
{
    struct pollfd fds[] = {{.fd = server->signal_fd, .events = POLLIN}, {.fd = server->news_fd, .events = POLLIN}};
    uint64_t n;
    int count = poll(fds, 2, wait_ms);
    if (count < 0) {
        EL_ASSERT(errno == EINTR);
    }
    *signalled = count > 0 && (fds[0].revents & POLLIN) != 0;
    if (count > 0 && (fds[1].revents & POLLIN) != 0 && read(server->news_fd, &n, sizeof n) == sizeof n) {
        server->again = server->again || (server->archive != NULL && archive_healed(server->archive));
        (void)access_gate_look(server->shards, server->shard_count, &server->refusal);
        change_settings(server);
    }
    return count != 0;
}

static bool ends(const struct server *server)
{
    return server->stop_wanted || server->again || server->refusal.code != 0;
}

/* Nobody is told that this broker is ready before users and rules were read and the archive was asked once, unless that
 * takes long, nor while the disk is behind it. */
static void wait_until_ready(struct server *server)
{
    uint64_t until_ns = mono_ns() + ASKED_NS_MAX;
    char reason[256];
    bool signalled = false;
    while (!ends(server)) {
        bool asked = access_gate_look(server->shards, server->shard_count, &server->refusal) == 0 &&
                     (server->archive == NULL || archive_asked(server->archive));
        bool behind = server->archive != NULL && archive_behind(server->archive, reason, sizeof reason);
        if (!behind && (asked || mono_ns() >= until_ns)) {
            return;
        }
        if (server->refusal.code == 0) {
            (void)wait_for_news(server, ASKED_LOOK_MS, &signalled);
        }
        if (signalled) {
            (void)take_signal(server);
        }
    }
}

static void on_sighup(struct server *server)
{
    notify_reloading();
    (void)settings_desk_settle(&server->desk, server->disk, NULL);
    bool taken = reload(server, "SIGHUP", NULL, NULL);
    notify_service("READY=1\nSTATUS=serving%s",
                   taken ? "" : "; the last reload was refused, in whole or in part: the log says why");
}

/* A start, and changes that had to wait for a record before. */
static void record(struct server *server)
{
    if (settings_record_make(&server->record, server->cfg)) {
        server->shards[0].record = &server->record;
        shard_command(&server->shards[0], SHARD_RECORD);
        wait_for_shards(server, 1);
    }
}

/* A certificate that ends is told each day: evlogd may run for longer than it lasts. */
static void wait_for_stop(struct server *server)
{
    uint64_t said_ns = mono_ns();
    bool signalled;
    while (!ends(server)) {
        if (settings_record_due(&server->record)) {
            record(server);
        }
        if (ends(server)) { /* a signal that came meanwhile comes once */
            return;
        }
        if (server->reload_wanted) { /* one that came meanwhile is another: files may have changed since */
            server->reload_wanted = false;
            on_sighup(server);
            continue;
        }
        (void)wait_for_news(server, settings_record_due(&server->record) ? RECORD_LOOK_MS : CERTIFICATE_LOOK_MS,
                            &signalled);
        if (signalled) {
            (void)take_signal(server);
        }
        if (mono_ns() - said_ns >= CERTIFICATE_SAY_NS) {
            said_ns = mono_ns();
            tls_files_say(server->cfg, &server->tls);
        }
    }
}

/* Every shard that runs, as far as it has come. */
static void stop_shards(struct server *server)
{
    uint32_t running = 0;
    server->stopping = true;
    settings_desk_close(&server->desk);
    while (running < server->shard_count && server->shards[running].running) {
        running++;
    }
    if (running == server->shard_count) {
        command_all(server, SHARD_STOP_NET);
        if (server->archive != NULL) {
            command_all(server, SHARD_STOP_ARCHIVE);
        }
        command_all(server, SHARD_STOP_STORE);
    }
    for (uint32_t i = 0; i < running; i++) {
        shard_command(&server->shards[i], SHARD_EXIT);
    }
    for (uint32_t i = 0; i < running; i++) {
        shard_join(&server->shards[i]);
    }
    for (uint32_t i = 0; i < running && running == server->shard_count; i++) {
        shard_destroy_parts(&server->shards[i]);
    }
}

/* returns true when the store was open and has its clean mark */
static bool server_free(struct server *server)
{
    http_port_destroy(server->http);
    archive_destroy(server->archive);
    object_store_close(server->bucket);
    for (size_t i = 0; i < server->archive_key_count; i++) {
        el_private_key_free(server->archive_keys[i]);
    }
    bool clean = server->store != NULL && store_close(server->store);
    for (uint32_t i = 0; server->shards != NULL && i < server->shard_count; i++) {
        struct shard *shard = &server->shards[i];
        if (shard->io != NULL) {
            io_destroy(shard->io);
        }
        metrics_destroy(shard->metrics);
        if (shard->buddy.base != NULL) {
            el_buddy_destroy(&shard->buddy);
        }
    }
    redactor_destroy(server->redactor); /* the disk threads that saved its list have ended */
    el_free(server->shards);
    el_free(server->metrics);
    if (server->disk != NULL) {
        disk_posix_close(server->disk);
    }
    if (server->signal_fd >= 0) {
        close(server->signal_fd);
    }
    if (server->news_fd >= 0) {
        close(server->news_fd);
    }
    if (server->done_fd >= 0) {
        close(server->done_fd);
    }
    explicit_bzero(&server->access_keys, sizeof server->access_keys);
    tls_files_close(&server->tls);
    settings_record_close(&server->record);
    data_dir_close(&server->dir);
    return clean;
}

/* As configured, or as many as there are processors and memory for. Partitions stay on the shard they were made on, so
 * a directory made with more shards gets them all. */
static int choose_shard_count(struct server *server, struct el_error *err)
{
    uint32_t stored;
    if (server->cfg->shards == 0) {
        uint64_t fitting = EL_MAX(config_memory_max(server->cfg) / SHARD_MEMORY_GOOD, (uint64_t)1);
        server->shard_count = (uint32_t)EL_MIN((uint64_t)server->shard_count, fitting);
    }
    int error = store_stored_shard_count(server->disk, &stored, err);
    if (error != 0) {
        return error;
    }
    if (stored > server->shard_count) {
        el_log(EL_LOG_INFO, "server",
               "running %" PRIu32 " shards, not %" PRIu32 ": the data directory was made with them", stored,
               server->shard_count);
        server->shard_count = stored;
    }
    EL_ASSERT(server->shard_count <= EL_SHARD_COUNT_MAX);
    server->shards = el_calloc(server->shard_count, sizeof *server->shards);
    server->metrics = el_calloc(server->shard_count, sizeof(struct metrics *));
    if (server->shards == NULL || server->metrics == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "out of memory at start");
    }
    return 0;
}

static int server_start(struct server *server, struct el_error *err)
{
    int error = open_signals(server, err);
    if (error == 0 && settings_record_open(&server->record, server->cfg) != 0) {
        error = el_error_set(err, EVLOG_ERR_NO_MEMORY, "out of memory at start");
    }
    if (error == 0) {
        error = tls_files_open(server->cfg, &server->tls, err);
    }
    if (error == 0) {
        error = data_dir_open(server->cfg, &server->dir, err);
    }
    if (error == 0) {
        data_dir_confine(server->cfg, &server->dir);
        error = from_archive(server->cfg, server->dir.real_path, server->signal_fd, err);
    }
    if (error == 0) {
        error = disk_posix_open(server->dir.path, &server->disk);
        if (error != 0) {
            el_error_set(err, error, "data directory %s: %s", server->dir.path, evlog_error_text(error));
        }
    }
    if (error == 0) {
        error = access_gate_open(server->cfg, server->dir.real_path, server->disk, &server->access_keys, err);
    }
    if (error == 0) {
        error = choose_shard_count(server, err);
    }
    if (error == 0) {
        error = build_shards(server, err);
    }
    if (error == 0) {
        error = open_store(server, err);
    }
    if (error == 0) {
        error = open_archive(server, err);
    }
    if (error == 0) {
        error = open_redactor(server, err);
    }
    if (error == 0) {
        error = open_listeners(server, err);
    }
    return error == 0 ? start_threads(server, err) : error;
}

static int run_once(const struct server_args *args, struct watchdog *watchdog, bool *again, struct el_error *err)
{
    struct server server = {
        .args = args,
        .cfg = args->cfg,
        .shard_count = config_shard_count(args->cfg),
        .signal_fd = -1,
        .done_fd = -1,
        .news_fd = -1,
        .dir = {.lock_fd = -1},
    };
    EL_ASSERT(server.shard_count >= 1);
    EL_ASSERT(server.shard_count <= EL_SHARD_COUNT_MAX);
    uint16_t http_port = 0;
    say_without_effect(args->cfg);
    int error = server_start(&server, err);
    if (error == 0) {
        error = start_http(&server, &http_port, err);
    }
    error = error == 0 ? watchdog_start(watchdog, server.shards, server.shard_count, err) : error;
    if (error == 0) {
        wait_until_ready(&server);
    }
    if (error == 0 && !ends(&server)) {
        ready_print(server.cfg, server.shards, server.shard_count, http_port);
        wait_for_stop(&server);
    }
    if (error == 0 && server.refusal.code != 0) {
        error = server.refusal.code;
        *err = server.refusal;
    }
    *again = error == 0 && server.again && !server.stop_wanted;
    http_port_stop(server.http);
    if (server.shards != NULL) {
        stop_shards(&server);
    }
    watchdog_rest(watchdog);
    bool clean = server_free(&server);
    if (error == 0 && !clean) {
        return el_error_set(err, EVLOG_ERR_STORAGE,
                            "stopped, but not cleanly: the reason is in the log; the next start recovers");
    }
    if (error == 0) {
        el_log(EL_LOG_INFO, "server", "stopped");
    }
    return error;
}

/* A directory that was healed from the archive is opened anew. */
int server_run(const struct server_args *args, struct el_error *err)
{
    struct watchdog watchdog = WATCHDOG_NONE;
    bool again = true;
    int error = 0;
    while (again && error == 0) {
        again = false;
        error = run_once(args, &watchdog, &again, err);
    }
    watchdog_stop(&watchdog);
    return error;
}
