/* SPDX-License-Identifier: Apache-2.0
 *
 * The root maker, on shard 0: when rounds begin, and what comes after what.
 *
 *   new -> begin -> tell -> idle -> cut -> collect -> make -> tell -> idle ...
 *
 *   begin    a job reads what the bucket has; an unreachable one is tried again for ever, while the broker serves
 *   cut      the clock is raised on all shards, so that what is durable then is everything up to a time; left out while
 *            shards have not reached the goals of the last one
 *   collect  shards put objects (archiver_round.c)
 *   make     a job makes the manifest, keeps it on this disk, puts it, tiles and the root (archive_make.c)
 *   tell     shards tell storage; what waited for the archive is acknowledged
 *   sweep    now and then a job looks for what is too old (archive_retire.c) and for objects that no root names
 *            (archive_sweep.c)
 *
 * A round begins archive.max.lag.ms after the one before, or at once when a shard wants one, when the last left
 * something, or when somebody asks. Nothing that fails in the bucket ends it but EVLOG_ERR_CONFLICT: then another
 * writer is at work there, or this disk is older than what was signed, and archiving ends for good.
 */
#include <archive/archiver_state.h>

#include <core/alloc.h>
#include <core/hash.h>
#include <core/logger.h>
#include <core/timefmt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define BACKOFF_MIN_NS 100000000u
#define BACKOFF_MAX_NS 30000000000u
#define SEAL_IDLE_MAX 3u /* rounds that put nothing: what is still in bundles cannot be sealed now */
#define NO_MEMORY_NS 1000000000u
#define ERROR_LEN_MAX 250              /* bytes of an error that are kept */
#define BACKOFF_POLICY_NS 30000000000u /* somebody must act first */
#define SWEEPS_LATE 2u                 /* times cfg.sweep_ms: then a sweep is made although a round waits */
#define ROUNDS_GAP_NS 1000000u         /* between rounds that follow one another at once */

static const struct el_sm_state root_states[ROOT_STATES] = {
    [ROOT_NEW] = {"new", EL_SM_TO(ROOT_BEGIN) | EL_SM_TO(ROOT_ENDED)},
    [ROOT_BEGIN] = {"begin", EL_SM_TO(ROOT_PAUSE) | EL_SM_TO(ROOT_HEAL) | EL_SM_TO(ROOT_TELL) | EL_SM_TO(ROOT_ENDED)},
    [ROOT_PAUSE] = {"pause", EL_SM_TO(ROOT_BEGIN) | EL_SM_TO(ROOT_ENDED)},
    [ROOT_HEAL] = {"heal", EL_SM_TO(ROOT_HEAL) | EL_SM_TO(ROOT_BEGIN) | EL_SM_TO(ROOT_ENDED)},
    [ROOT_TELL] = {"tell", EL_SM_TO(ROOT_SWEEP) | EL_SM_TO(ROOT_IDLE) | EL_SM_TO(ROOT_ENDED)},
    [ROOT_IDLE] = {"idle", EL_SM_TO(ROOT_CUT) | EL_SM_TO(ROOT_COLLECT) | EL_SM_TO(ROOT_ENDED)},
    [ROOT_CUT] = {"cut", EL_SM_TO(ROOT_COLLECT) | EL_SM_TO(ROOT_IDLE) | EL_SM_TO(ROOT_ENDED)},
    [ROOT_COLLECT] = {"collect", EL_SM_TO(ROOT_MAKE) | EL_SM_TO(ROOT_IDLE) | EL_SM_TO(ROOT_ENDED)},
    [ROOT_MAKE] = {"make", EL_SM_TO(ROOT_AGAIN) | EL_SM_TO(ROOT_TELL) | EL_SM_TO(ROOT_ENDED)},
    [ROOT_AGAIN] = {"again", EL_SM_TO(ROOT_MAKE) | EL_SM_TO(ROOT_ENDED)},
    [ROOT_SWEEP] = {"sweep", EL_SM_TO(ROOT_IDLE) | EL_SM_TO(ROOT_ENDED)},
    [ROOT_ENDED] = {"ended", 0},
};
const struct el_sm_table archive_root_sm = {"archive", root_states, ROOT_STATES, NULL};

static void root_move(struct archive *a, enum root_state state)
{
    el_sm_move(&a->sm, a, state);
}

static bool root_is(const struct archive *a, enum root_state state)
{
    return a->sm.state == (unsigned)state;
}

/* --- failures ----------------------------------------------------------------------------------------------------- */

bool archive_retriable(int code)
{
    return code != EVLOG_ERR_CONFLICT && code != EVLOG_ERR_CLOSED && code != EVLOG_ERR_CRASHED;
}

uint64_t archive_backoff_ns(struct archive *a, struct io *io, uint32_t tries, int code)
{
    uint64_t ns = (uint64_t)BACKOFF_MIN_NS << EL_MIN(tries, 9u);
    uint64_t jitter;
    ns = EL_MIN(ns, (uint64_t)BACKOFF_MAX_NS);
    ns = code == EVLOG_ERR_POLICY ? BACKOFF_POLICY_NS : ns;
    io_random(io, &jitter, sizeof jitter);
    return ns / 2 + jitter % ns;
}

void archive_fail(struct archive *a, const char *format, ...)
{
    va_list args;
    pthread_mutex_lock(&a->fail_lock);
    if (!atomic_load(&a->failed)) {
        va_start(args, format);
        vsnprintf(a->failed_text, sizeof a->failed_text, format, args);
        va_end(args);
        atomic_store(&a->failed, true);
        metrics_set(a->metrics, METRIC_ARCHIVE_STOPPED, 1);
        el_log(EL_LOG_ERROR, "archive", "archiving has ended for good: %s", a->failed_text);
    }
    pthread_mutex_unlock(&a->fail_lock);
}

const char *archive_stopped_reason(const struct archive *archive)
{
    return atomic_load(&archive->failed) ? archive->failed_text : NULL;
}

/* --- asks --------------------------------------------------------------------------------------------------------- */

static void ask_back(struct io_message *message)
{
    struct archive_ask *ask = EL_CONTAINER(message, struct archive_ask, message);
    ask->done(ask);
}

static void ask_answer(struct archive *a, struct archive_ask *ask)
{
    const char *reason = archive_stopped_reason(a);
    bool begins = a->sm.state < ROOT_TELL;
    ask->phase = reason != NULL ? ARCHIVE_STOPPED : begins ? ARCHIVE_BEGINS : ARCHIVE_WORKS;
    bool full = atomic_load(&a->full);
    snprintf(ask->text, sizeof ask->text, "%.250s", reason != NULL ? reason : full ? a->full_text : "");
    if (ask->text[0] == 0) {
        archive_trouble(a, ask->text, sizeof ask->text);
    }
    if (ask->now && ask->error == 0) {
        ask->error = reason != NULL           ? EVLOG_ERR_POLICY
                     : root_is(a, ROOT_ENDED) ? EVLOG_ERR_CLOSED
                     : full && ask->wait      ? EVLOG_ERR_NO_MEMORY
                                              : 0;
    }
    ask->incarnation = a->begin.incarnation;
    ask->sequence = a->sequence;
    ask->root_ms = a->root_ms;
    ask->complete_ns = a->complete_ns;
    ask->object_count = a->object_count;
    ask->object_len = a->object_len;
    ask->replaced_count = a->replaced_count;
    ask->sweeps = a->sweeps;
    ask->message.run = ask_back;
    io_post(ask->origin, &ask->message);
}

/* Those that wait for no later goal than this one. */
static void asks_answer(struct archive *a, uint64_t reached)
{
    EL_LIST_EACH_SAFE(n, tmp, &a->asks) {
        struct archive_ask *ask = EL_CONTAINER(n, struct archive_ask, link);
        if (ask->goal <= reached && (reached == UINT64_MAX || !ask->seal || !a->seal)) {
            el_list_remove(&ask->link);
            ask_answer(a, ask);
        }
    }
}

static void root_ask(struct archive *a, struct archive_ask *ask)
{
    bool works = a->sm.state < ROOT_ENDED && archive_stopped_reason(a) == NULL;
    if (!ask->now || !works) {
        ask_answer(a, ask);
        return;
    }
    if (ask->seal) {
        bool other = a->seal && !el_uuid_eq(&a->seal_topic, &ask->topic_id);
        a->seal = true;
        a->seal_topic = other ? (struct el_uuid){{0}} : ask->topic_id;
    }
    if (!ask->wait || atomic_load(&a->full)) {
        ask_answer(a, ask);
    } else {
        ask->goal = a->goals + 1; /* the one that is taken next covers what is durable now */
        el_list_push_back(&a->asks, &ask->link);
    }
    archive_root_want(a);
}

static void ask_run(struct io_message *message)
{
    struct archive_ask *ask = EL_CONTAINER(message, struct archive_ask, message);
    root_ask(ask->archive, ask);
}

void archive_ask(struct archiver *ar, struct archive_ask *ask)
{
    struct archive *a = ar->archive;
    OBJ_CHECK(ar, ARCHIVER);
    ask->origin = ar->io;
    ask->archive = a;
    ask->error = 0;
    ask->goal = 0;
    ask->pending_len = 0;
    for (uint32_t i = 0; i < a->shard_count; i++) {
        ask->pending_len += (uint64_t)metrics_get(a->shards[i].metrics, METRIC_ARCHIVE_PENDING);
    }
    el_list_init(&ask->link);
    ask->message.run = ask_run;
    io_post(a->io, &ask->message);
}

/* --- the end ------------------------------------------------------------------------------------------------------ */

static void catalogue_drop(struct archive *a)
{
    el_buddy_free(a->shards[0].buddy, a->make.catalogue.data);
    a->make.catalogue = (struct archive_catalogue){0};
}

void archive_root_end(struct archive *a)
{
    EL_ASSERT(!root_is(a, ROOT_ENDED));
    root_move(a, ROOT_ENDED);
    io_timer_cancel(a->io, &a->timer);
    io_timer_cancel(a->io, &a->deadline);
    asks_answer(a, UINT64_MAX);
    archive_root_redact_end(a);
    if (!a->job_busy) {
        catalogue_drop(a);
    }
    for (uint32_t i = 0; i < a->shard_count; i++) {
        a->shards[i].readable = !a->job_busy && a->begin.readable;
        archiver_end(&a->shards[i]);
    }
    if (a->stopping) {
        object_store_stop(a->cfg.bucket); /* reads of what has left the disk are all that may be under way */
    }
}

bool archive_root_idle(const struct archive *a)
{
    return root_is(a, ROOT_ENDED) && !a->job_busy && !a->cutting && a->waiting == 0;
}

static void order_all(struct archive *a, enum archiver_order order)
{
    EL_ASSERT(a->waiting == 0); /* the order before has been carried out by all */
    a->waiting = a->shard_count;
    for (uint32_t i = 0; i < a->shard_count; i++) {
        archiver_order(&a->shards[i], order);
    }
}

/* --- the beginning ------------------------------------------------------------------------------------------------ */

static void on_begun(struct io_op *op);
static void on_timer(struct io_timer *timer);

void archive_root_begin(struct archive *a)
{
    EL_ASSERT(!a->job_busy);
    root_move(a, ROOT_BEGIN);
    a->begin.now_ms = io_wall(a->io) / 1000000;
    a->begin.mono_ms = a->io->now_ns / 1000000;
    a->job_busy = true;
    a->job.done = on_begun;
    a->job.arg = a;
    io_job(a->io, &a->job, IO_JOB_ARCHIVE, archive_begin_run, &a->begin);
}

void archive_root_init(struct archive *a)
{
    el_list_init(&a->asks);
    el_sm_init(&a->sm, &archive_root_sm, ROOT_NEW);
    a->timer.fire = on_timer;
    a->timer.arg = a;
}

void archive_root_start(struct archive *a)
{
    metrics_set(a->metrics, METRIC_ARCHIVE_ENABLED, 1);
    io_random(a->io, a->begin.fresh.bytes, sizeof a->begin.fresh.bytes);
    a->begin.ledger = a->ledger;
    a->begin.shard_count = a->shard_count;
    archive_root_begin(a);
}

/* A job failed: it is tried again, or that is the end. */
void archive_root_again(struct archive *a, int code, const struct el_error *err, enum root_state state)
{
    metrics_add(a->metrics, METRIC_ARCHIVE_ERRORS, 1);
    if (code == EVLOG_ERR_CONFLICT) {
        archive_fail(a, "%s", err->text);
    }
    if (!archive_retriable(code) || archive_stopped_reason(a) != NULL) {
        archive_root_end(a);
        return;
    }
    archive_needs(a, a->metrics, &a->needs, code);
    bool other = strncmp(a->last_error, err->text, ERROR_LEN_MAX) != 0;
    if (a->tries == 0 || (code == EVLOG_ERR_POLICY && other)) {
        el_log(EL_LOG_WARN, "archive", "%s; it is tried again", err->text);
    }
    snprintf(a->last_error, sizeof a->last_error, "%.*s", ERROR_LEN_MAX, err->text);
    root_move(a, state);
    io_timer_set(a->io, &a->timer, a->io->now_ns + archive_backoff_ns(a, a->io, a->tries++, code));
}

static void on_begun(struct io_op *op)
{
    struct archive *a = op->arg;
    EL_ASSERT(a->job_busy);
    a->job_busy = false;
    if (root_is(a, ROOT_ENDED)) {
        return;
    }
    if (op->result == 0 && a->begin.older) {
        archive_heal_begin(a);
    } else if (a->begin.waits) {
        atomic_store(&a->behind_shown, BEHIND_WAITS);
    }
    if (!atomic_exchange(&a->asked, true)) {
        archive_root_news(a);
    }
    if (op->result == 0 && a->begin.older) {
        return;
    }
    if (op->result != 0) {
        for (uint32_t i = 0; i < a->shard_count && op->result == EVLOG_ERR_CONFLICT; i++) {
            a->shards[i].told = a->begin.told;
            a->shards[i].older = true;
        }
        atomic_store(&a->sequence_shown, a->begin.readable ? a->begin.sequence : 0);
        atomic_store(&a->kept_ns, a->begin.kept_ns);
        bool works = a->begin.further && !a->begin.waits; /* the store does, now and then */
        a->tries = works ? EL_MIN(a->tries, 1u) : a->tries;
        archive_root_again(a, (int)op->result, &a->begin.err, ROOT_PAUSE);
        return;
    }
    a->tries = 0;
    a->last_error[0] = 0;
    archive_needs(a, a->metrics, &a->needs, 0);
    a->sequence = a->begin.sequence;
    a->ledger_len = a->begin.memory_len;
    a->manifest_len = a->begin.manifest_len;
    a->root_ms = a->begin.root_ms;
    a->complete_ns = a->begin.complete_ns;
    a->swept_ns = a->io->now_ns;
    atomic_store(&a->complete_shown_ns, a->complete_ns);
    atomic_store(&a->sequence_shown, a->sequence);
    el_log(EL_LOG_INFO, "archive", "archiving to %s, last root %" PRIu64, a->cfg.bucket->url, a->sequence);
    for (uint32_t i = 0; i < a->shard_count; i++) {
        a->shards[i].told = a->begin.told;
        a->shards[i].bundle_next = a->begin.bundle_next[i];
    }
    root_move(a, ROOT_TELL);
    order_all(a, ORDER_TELL);
}

/* --- rounds ------------------------------------------------------------------------------------------------------- */

static void collect(struct archive *a)
{
    root_move(a, ROOT_COLLECT);
    order_all(a, ORDER_ROUND);
}

static void on_cut(struct store_op *op)
{
    struct archive *a = op->arg;
    EL_ASSERT(a->cutting);
    a->cutting = false;
    if (root_is(a, ROOT_ENDED)) {
        return;
    }
    a->new_goal = op->error == 0;
    if (op->error == 0) {
        a->goal_open = true;
        a->goals++;
        a->goal_ns = a->cut.time_ns;
    } /* else, of a full disk, what is durable is archived without it */
    collect(a);
}

static void round_begin(struct archive *a)
{
    a->began_ns = a->io->now_ns;
    a->wanted = false;
    a->new_goal = false;
    a->moves_due = a->stopping || !el_list_empty(&a->asks);
    archive_root_redact_begin(a);
    io_timer_cancel(a->io, &a->timer);
    if (a->goal_open) {
        collect(a);
        return;
    }
    root_move(a, ROOT_CUT);
    EL_ASSERT(!a->cutting);
    a->cutting = true;
    a->cut = (struct cut_op){.base = {.done = on_cut, .arg = a}};
    store_cut(a->shards[0].shard, &a->cut);
}

/* --- what the catalogue says -------------------------------------------------------------------------------------- */

static size_t topic_put(const struct topic *topic, uint8_t *out)
{
    uint8_t settings[TOPIC_CONFIG_BYTES_MAX];
    size_t settings_len = 0;
    int code = topic_config_encode(&topic->config, settings, sizeof settings, &settings_len);
    EL_ASSERT(code == 0);
    struct archive_topic_entry head = {.id = topic->id,
                                       .partition_count = (uint32_t)topic->partition_count,
                                       .name_len = topic->name_len,
                                       .settings_len = (uint16_t)settings_len,
                                       .internal = topic->internal};
    size_t len = sizeof head + topic->name_len + settings_len;
    if (out != NULL) {
        memset(out, 0, EL_ALIGN_UP(len, 8));
        memcpy(out, &head, sizeof head);
        memcpy(out + sizeof head, topic->name, topic->name_len);
        memcpy(out + sizeof head + topic->name_len, settings, settings_len);
    }
    return EL_ALIGN_UP(len, 8);
}

static uint64_t catalogue_digest(struct store_shard *shard)
{
    uint64_t digest = 1;
    for (uint32_t i = 0; i < store_topic_count(shard); i++) {
        const struct topic *topic = store_topic_at(shard, i);
        uint64_t one = el_xxh3(topic->id.bytes, sizeof topic->id) ^ el_xxh3(&topic->config, sizeof topic->config);
        digest = digest * 31 + one + (uint64_t)topic->partition_count;
    }
    return digest;
}

/* All topics for the manifest, when something has changed since the last. returns false: no memory now */
static bool catalogue_take(struct archive *a)
{
    struct store_shard *shard = a->shards[0].shard;
    struct el_buddy *buddy = a->shards[0].buddy;
    uint64_t digest = catalogue_digest(shard);
    size_t len = 0;
    a->make.catalogue = (struct archive_catalogue){0};
    if (digest == a->catalogue_digest) {
        return true;
    }
    for (uint32_t i = 0; i < store_topic_count(shard); i++) {
        len += topic_put(store_topic_at(shard, i), NULL);
    }
    uint8_t *data = el_buddy_alloc(buddy, EL_MAX(len, (size_t)1));
    if (data == NULL) {
        return false;
    }
    len = 0;
    for (uint32_t i = 0; i < store_topic_count(shard); i++) {
        len += topic_put(store_topic_at(shard, i), data + len);
    }
    a->make.catalogue = (struct archive_catalogue){.data = data, .len = len};
    a->catalogue_digest = digest;
    return true;
}

/* --- the manifest ------------------------------------------------------------------------------------------------- */

static void on_made(struct io_op *op);

static void root_make(struct archive *a)
{
    root_move(a, ROOT_MAKE);
    EL_ASSERT(!a->job_busy);
    a->job_busy = true;
    a->job.done = on_made;
    io_job(a->io, &a->job, IO_JOB_ARCHIVE, archive_make_run, &a->make);
}

static void on_made(struct io_op *op)
{
    struct archive *a = op->arg;
    struct archive_make_job *make = &a->make;
    EL_ASSERT(a->job_busy);
    a->job_busy = false;
    metrics_add(a->metrics, METRIC_ARCHIVE_PUTS, (int64_t)make->put_count);
    metrics_add(a->metrics, METRIC_ARCHIVE_PUT_BYTES, (int64_t)make->put_len);
    make->put_count = make->put_len = 0;
    if (root_is(a, ROOT_ENDED)) {
        catalogue_drop(a);
        return;
    }
    if (op->result != 0) {
        archive_root_again(a, (int)op->result, &make->err, ROOT_AGAIN);
        return;
    }
    EL_ASSERT(make->step == MAKE_FINISH);
    EL_ASSERT(make->sequence == a->sequence + 1); /* roots follow one another */
    EL_ASSERT(make->complete_ns >= a->complete_ns);
    catalogue_drop(a);
    make->step = MAKE_BUILD;
    a->tries = 0;
    a->last_error[0] = 0;
    archive_needs(a, a->metrics, &a->needs, 0);
    a->sequence = make->sequence;
    a->ledger_len = make->memory_len;
    a->manifest_len = make->manifest_len;
    a->root_ms = make->root_ms;
    a->complete_ns = make->complete_ns;
    a->object_count = make->object_count;
    a->object_len = make->object_len;
    a->replaced_count = make->replaced_count;
    a->seal = make->seal && (a->redacting || make->told.task_count > 0) &&
              a->seal_idle < SEAL_IDLE_MAX; /* until nothing is left */
    a->more = a->more || a->seal;
    archive_root_redact_made(a);
    atomic_store(&a->complete_shown_ns, a->complete_ns);
    atomic_store(&a->sequence_shown, a->sequence);
    a->rooted = true;
    metrics_add(a->metrics, METRIC_ARCHIVE_ROOTS, 1);
    metrics_add(a->metrics, METRIC_ARCHIVE_RETIRED, (int64_t)make->retired_count);
    for (uint32_t i = 0; i < a->shard_count; i++) {
        a->shards[i].told = make->told;
    }
    if (make->retired_count > 0) {
        el_log(EL_LOG_INFO, "archive",
               "old events of %" PRIu64 " partitions left the archive (evlog.archive.retention.ms)",
               make->retired_count);
    }
    root_move(a, ROOT_TELL);
    order_all(a, ORDER_TELL);
}

/* The manifest is made of what is collected. Without memory for the catalogue it is tried again. */
static void make_begin(struct archive *a)
{
    if (!catalogue_take(a)) {
        io_timer_set(a->io, &a->timer, a->io->now_ns + NO_MEMORY_NS);
        return;
    }
    root_make(a);
}

/* All shards have put what they could. */
static void collected(struct archive *a)
{
    struct archive_make_job *make = &a->make;
    bool reached = true, put = false;
    if (archive_stopped_reason(a) != NULL) {
        archive_root_end(a);
        return;
    }
    a->more = false;
    make->ledger = a->ledger;
    make->now_ms = io_wall(a->io) / 1000000;
    make->leader_epoch = store_leader_epoch(a->store);
    for (uint32_t i = 0; i < a->shard_count; i++) {
        struct archiver *ar = &a->shards[i];
        EL_ASSERT(!ar->in_round);
        EL_ASSERT(make->results[i] == NULL); /* the last manifest has taken them */
        make->results[i] = ar->results;
        make->moves[i] = ar->moves;
        make->move_counts[i] = ar->move_count;
        ar->results = NULL;
        reached = reached && ar->reached;
        a->more = a->more || ar->more;
        put = put || make->results[i] != NULL;
    }
    a->seal_idle = put || !a->seal || a->redacting ? 0 : a->seal_idle + 1;
    make->redaction = a->redacting ? &a->redaction_job : NULL;
    make->cut_ns = a->goal_open && reached ? a->goal_ns : 0;
    a->goal_open = a->goal_open && !reached;
    make->seal = a->seal;
    make->seal_topic = a->seal_topic;
    make_begin(a);
}

static void on_timer(struct io_timer *timer)
{
    struct archive *a = timer->arg;
    switch ((enum root_state)a->sm.state) {
    case ROOT_PAUSE:
        archive_root_begin(a);
        return;
    case ROOT_AGAIN:
        root_make(a);
        return;
    case ROOT_IDLE:
        round_begin(a);
        return;
    case ROOT_COLLECT:
        make_begin(a);
        return;
    case ROOT_HEAL:
        archive_heal_adopt(a);
        return;
    case ROOT_NEW:
    case ROOT_BEGIN:
    case ROOT_TELL:
    case ROOT_CUT:
    case ROOT_MAKE:
    case ROOT_SWEEP:
    case ROOT_ENDED:
    case ROOT_STATES:
        return;
    }
}

/* --- between rounds ----------------------------------------------------------------------------------------------- */

static uint64_t pending_len(const struct archive *a)
{
    uint64_t pending = 0;
    for (uint32_t i = 0; i < a->shard_count; i++) {
        pending += (uint64_t)metrics_get(a->shards[i].metrics, METRIC_ARCHIVE_PENDING);
    }
    return pending;
}

static void say_what_is_left(struct archive *a)
{
    char why[256];
    archive_trouble(a, why, sizeof why);
    const char *separator = why[0] == 0 ? "" : ": ";
    if (a->sm.state < ROOT_TELL) {
        el_log(
            EL_LOG_WARN, "archive",
            "stopped before the archive could be asked what it has: nothing was archived in this run, and what is not "
            "in it is on this disk only; it follows after the next start%s%s",
            separator, why);
        return;
    }
    char time[40] = "nothing";
    if (a->complete_ns > 0) {
        el_time_format(time, (int64_t)a->complete_ns, 3);
    }
    el_log(EL_LOG_WARN, "archive",
           "stopped before everything was in the archive: it has everything up to %s, about %" PRIu64
           " bytes are on this disk only; they follow after the next start%s%s",
           time, pending_len(a), separator, why);
}

static void root_idle(struct archive *a)
{
    root_move(a, ROOT_IDLE);
    if (archive_stopped_reason(a) != NULL) {
        archive_root_end(a);
        return;
    }
    if (a->stopping && !a->more && !a->goal_open && a->stop_rounds > 0) {
        el_log(EL_LOG_INFO, "archive", "everything is in the archive, root %" PRIu64, a->sequence);
        archive_root_end(a);
        return;
    }
    if (a->stopping && atomic_load(&a->full)) {
        say_what_is_left(a);
        archive_root_end(a);
        return;
    }
    a->stop_rounds += a->stopping;
    bool calm = atomic_load(&a->full) && a->redaction == NULL; /* nobody waits for what is not archived */
    uint64_t gap_ns = calm                                  ? a->cfg.lag_ms * 1000000
                      : a->stopping || a->more || a->wanted ? ROUNDS_GAP_NS
                                                            : a->cfg.lag_ms * 1000000;
    io_timer_set(a->io, &a->timer, a->io->now_ns + gap_ns);
}

/* --- orphans ------------------------------------------------------------------------------------------------------ */

/* Nothing is put that no root names yet: what a pass finds is what earlier processes left. Who waits for a round does
 * not wait for it, unless no sweep has ended for long. */
static bool sweep_is_due(const struct archive *a)
{
    uint64_t since_ns = a->io->now_ns - a->swept_ns, every_ns = a->cfg.sweep_ms * 1000000;
    bool busy = a->more || a->wanted;
    return a->rooted && a->cfg.orphan_ms != UINT64_MAX && !a->stopping && archive_stopped_reason(a) == NULL &&
           (a->sweeps == 0 || a->sweeping || since_ns >= every_ns) && (!busy || since_ns >= SWEEPS_LATE * every_ns);
}

/* The same, for what is too old. */
static bool ages_are_due(const struct archive *a)
{
    uint64_t since_ns = a->io->now_ns - a->aged_ns, every_ns = a->cfg.ages_ms * 1000000;
    bool busy = a->more || a->wanted;
    return a->rooted && !a->stopping && archive_stopped_reason(a) == NULL && since_ns >= every_ns &&
           (!busy || since_ns >= SWEEPS_LATE * every_ns);
}

static void on_swept(struct io_op *op)
{
    struct archive *a = op->arg;
    EL_ASSERT(a->job_busy);
    a->job_busy = false;
    a->sweeping = a->sweep.orphans ? !a->sweep.over : a->sweeping;
    metrics_add(a->metrics, METRIC_ARCHIVE_ORPHANS, (int64_t)a->sweep.removed);
    metrics_add(a->metrics, METRIC_ARCHIVE_ERRORS, op->result != 0);
    if (op->result != 0 && archive_retriable((int)op->result)) {
        el_log(EL_LOG_WARN, "archive", "%s; it is tried again later", a->sweep.err.text);
    }
    if (a->sweep.orphans && a->sweep.over) {
        a->swept_ns = a->io->now_ns;
        a->sweeps++;
    }
    if (!root_is(a, ROOT_ENDED)) {
        root_idle(a);
    }
}

/* returns false: nothing is due */
static bool sweep_begin(struct archive *a)
{
    a->sweep.ages = ages_are_due(a);
    a->sweep.orphans = sweep_is_due(a);
    if (!a->sweep.ages && !a->sweep.orphans) {
        return false;
    }
    EL_ASSERT(!a->job_busy);
    root_move(a, ROOT_SWEEP);
    a->aged_ns = a->sweep.ages ? a->io->now_ns : a->aged_ns;
    a->sweep.now_ns = el_clock_now(store_clock(a->store));
    a->sweep.topic_defaults = *store_topic_defaults(a->shards[0].shard);
    atomic_store(&a->sweep_end, false);
    a->sweep.ledger = a->ledger;
    a->sweep.hurry = &a->sweep_end;
    a->sweep.goes_on = a->sweeping;
    a->job_busy = true;
    a->job.done = on_swept;
    io_job(a->io, &a->job, IO_JOB_ARCHIVE, archive_sweep_run, &a->sweep);
    return true;
}

void archive_root_answered(struct archive *a, struct archiver *ar)
{
    (void)ar;
    EL_ASSERT(a->waiting > 0);
    if (--a->waiting > 0) {
        return;
    }
    if (root_is(a, ROOT_COLLECT)) {
        collected(a);
    } else if (root_is(a, ROOT_TELL)) {
        archive_memory_look(a);
        asks_answer(a, atomic_load(&a->full) ? UINT64_MAX : a->goals - a->goal_open);
        if (!sweep_begin(a)) {
            root_idle(a);
        }
    } else if (root_is(a, ROOT_HEAL)) {
        archive_heal_answered(a);
    } else {
        EL_ASSERT(root_is(a, ROOT_ENDED));
    }
}

void archive_root_want(struct archive *a)
{
    a->wanted = true;
    atomic_store(&a->sweep_end, true);
    if (root_is(a, ROOT_IDLE) && (!atomic_load(&a->full) || a->redaction != NULL)) {
        io_timer_set(a->io, &a->timer, a->io->now_ns);
    }
}

static void on_deadline(struct io_timer *timer)
{
    struct archive *a = timer->arg;
    if (!root_is(a, ROOT_ENDED)) {
        say_what_is_left(a);
        archive_root_end(a);
    }
    object_store_stop(a->cfg.bucket); /* jobs under way end soon */
}

void archive_root_stop(struct archive *a, uint64_t deadline_ns)
{
    if (a->stopping || root_is(a, ROOT_ENDED)) {
        if (!a->stopping && archive_stopped_reason(a) != NULL) {
            el_log(EL_LOG_WARN, "archive",
                   "archiving had ended before this stop: what is not in the archive, about %" PRIu64
                   " bytes, is on this disk only",
                   pending_len(a));
        }
        if (root_is(a, ROOT_ENDED)) {
            object_store_stop(a->cfg.bucket); /* what is still read nobody waits for */
        }
        a->stopping = true;
        return;
    }
    a->stopping = true;
    atomic_store(&a->sweep_end, true);
    a->deadline.fire = on_deadline;
    a->deadline.arg = a;
    io_timer_set(a->io, &a->deadline, deadline_ns);
    bool behind = atomic_load(&a->behind_shown) != BEHIND_NOT; /* nothing of it is archived */
    if (root_is(a, ROOT_NEW) || behind) {
        archive_root_end(a);
    } else if (root_is(a, ROOT_IDLE)) {
        a->stop_rounds = 1; /* the one that begins now */
        io_timer_set(a->io, &a->timer, a->io->now_ns);
    }
}
