/* SPDX-License-Identifier: Apache-2.0
 *
 * Changes of users and rules, on shard 0, one after the other.
 *
 *   1. a change waits until every shard has read what there is, and what lies in the log is sealed (access_prepare.c)
 *   2. the topic is made when the first change comes
 *   3. the records are looked at, are sealed, and become one batch, which is appended
 *   4. it is durable: every shard is told, this one first; one without memory is told again until it has some
 *   5. the caller is answered
 *
 * A batch that could not be stored may be in the log all the same: nobody was told that it is. A shard that stops
 * answers what waits; what is durable by then holds after the next start.
 */
#include <access/access_state.h>

#include <core/logger.h>

#define RETRY_NS 100000000u
#define COMPLAIN_NS 60000000000u

/* --- there and back ----------------------------------------------------------------------------------------------- */

static void op_on_return(struct io_message *message)
{
    struct access_op *op = EL_CONTAINER(message, struct access_op, message);
    op->done(op);
}

static void op_finish(struct access_op *op, int error)
{
    op->error = error;
    if (op->origin == op->home) {
        op->done(op);
        return;
    }
    op->message.run = op_on_return;
    io_post(op->origin->io, &op->message);
}

static void change_end(struct access *home, int error)
{
    struct access_op *op = home->current;
    EL_ASSERT(op != NULL);
    home->current = NULL;
    op_finish(op, error);
    access_next(home);
}

static void op_arrive(struct io_message *message)
{
    struct access_op *op = EL_CONTAINER(message, struct access_op, message);
    struct access *home = op->home;
    OBJ_CHECK(home, ACCESS);
    el_list_push_back(&home->queue, &op->link);
    if (home->preparing == ACCESS_PREPARE_FAILED) {
        home->preparing = ACCESS_PREPARE_IDLE; /* perhaps it can be done now */
    }
    access_next(home);
}

void access_change(struct access *access, struct access_op *op)
{
    OBJ_CHECK(access, ACCESS);
    EL_ASSERT(op->record_count > 0);
    EL_ASSERT(op->record_count <= ACCESS_RECORDS_MAX);
    op->origin = access;
    op->home = access->peers[ACCESS_HOME];
    el_list_init(&op->link);
    if (op->home == access) {
        op_arrive(&op->message);
        return;
    }
    op->message.run = op_arrive;
    io_post(op->home->io, &op->message);
}

void access_refuse_all(struct access *home, int error)
{
    while (!el_list_empty(&home->queue)) {
        op_finish(EL_CONTAINER(el_list_pop_front(&home->queue), struct access_op, link), error);
    }
}

/* --- every shard is told ------------------------------------------------------------------------------------------ */

static void tell_next(struct access *home);

static void tell_result(struct access *home)
{
    if (home->stopping) {
        change_end(home, EVLOG_ERR_CLOSED);
        return;
    }
    if (home->tell_error == 0) {
        home->tell_shard++;
        tell_next(home);
        return;
    }
    uint64_t now_ns = home->io->now_ns;
    if (home->complained_ns == 0 || now_ns - home->complained_ns >= COMPLAIN_NS) {
        home->complained_ns = now_ns;
        el_log(EL_LOG_ERROR, "access",
               "shard %u cannot take a change of users or rules (%s): trying again; raise memory.max", home->tell_shard,
               evlog_error_text(home->tell_error));
    }
    io_timer_set(home->io, &home->retry, now_ns + RETRY_NS);
}

static void tell_on_return(struct io_message *message)
{
    struct access *home = EL_CONTAINER(message, struct access, tell);
    OBJ_CHECK(home, ACCESS);
    EL_ASSERT(home->busy > 0);
    home->busy--;
    tell_result(home);
}

/* On the shard that is told. */
static void tell_at_shard(struct io_message *message)
{
    struct access *home = EL_CONTAINER(message, struct access, tell);
    home->tell_error = access_apply(home->peers[home->tell_shard], home->current);
    message->run = tell_on_return;
    io_post(home->io, message);
}

static void tell_next(struct access *home)
{
    EL_ASSERT(home->current != NULL);
    if (home->tell_shard == home->shard_count) {
        change_end(home, 0);
        return;
    }
    if (home->tell_shard == home->index) {
        home->tell_error = access_apply(home, home->current);
        tell_result(home);
        return;
    }
    home->busy++;
    home->tell.run = tell_at_shard;
    io_post(home->peers[home->tell_shard]->io, &home->tell);
}

static void tell_on_retry(struct io_timer *timer)
{
    struct access *home = timer->arg;
    OBJ_CHECK(home, ACCESS);
    tell_next(home);
}

/* --- the records -------------------------------------------------------------------------------------------------- */

static void change_on_append(struct store_op *base)
{
    struct access *home = base->arg;
    OBJ_CHECK(home, ACCESS);
    access_append_end(home);
    if (base->error != 0) {
        el_log(EL_LOG_WARN, "access", "%s: a change of users or rules cannot be stored: %s", ACCESS_TOPIC,
               evlog_error_text(base->error));
        change_end(home, base->error);
        return;
    }
    home->tell_shard = 0;
    EL_ASSERT(home->index == 0);
    tell_next(home);
}

/* May the node have what the change adds? */
static int check(const struct access *home, const struct access_op *op)
{
    uint64_t rules = home->auth.rule_count, users = auth_user_count(&home->auth);
    uint64_t limits = quota_limit_count(&home->auth.quotas);
    for (uint32_t i = 0; i < op->record_count; i++) {
        struct auth_record record;
        int code = auth_record_decode(op->records[i].key, op->records[i].value, &record);
        if (code != 0) {
            return EVLOG_ERR_ARGUMENT; /* our own handlers' fault; better refused than stored */
        }
        rules += !record.gone && record.kind == AUTH_RECORD_RULE;
        users += !record.gone && record.kind == AUTH_RECORD_USER;
        limits += !record.gone && record.kind == AUTH_RECORD_LIMIT;
    }
    bool many = rules > AUTH_RULES_MAX || users > AUTH_USERS_MAX || limits > QUOTA_LIMITS_MAX;
    return many ? EVLOG_ERR_LIMIT : 0;
}

static int batch_make(struct access *home, const struct access_op *op, struct el_slice *batch)
{
    size_t len = EL_BATCH_HEADER_LEN;
    for (uint32_t i = 0; i < op->record_count; i++) {
        len += access_put_len_max(&op->records[i]);
    }
    home->batch = el_buddy_alloc(home->buddy, len);
    if (home->batch == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    struct el_batch_builder builder;
    el_batch_builder_init_fixed(&builder, home->batch, len);
    int code = 0;
    for (uint32_t i = 0; i < op->record_count && code == 0; i++) {
        code = access_put(home, &builder, &op->records[i]);
    }
    if (code != 0) {
        el_buddy_free(home->buddy, home->batch);
        home->batch = NULL;
        return code;
    }
    code = el_batch_builder_finish(&builder, EL_CODEC_NONE, NULL, batch);
    EL_ASSERT(code == 0);
    return 0;
}

static void change_append(struct access *home, const struct topic *topic)
{
    struct el_slice batch;
    int code = check(home, home->current);
    code = code != 0 ? code : batch_make(home, home->current, &batch);
    if (code != 0) {
        change_end(home, code);
        return;
    }
    access_append(home, topic, batch, change_on_append);
}

/* --- the topic ---------------------------------------------------------------------------------------------------- */

static void create_on_done(struct store_op *base)
{
    struct access *home = base->arg;
    OBJ_CHECK(home, ACCESS);
    home->busy--;
    home->creating = false;
    if (base->error != 0 && base->error != EVLOG_ERR_TOPIC_EXISTS) {
        el_log(EL_LOG_WARN, "access", "cannot make the topic %s: %s", ACCESS_TOPIC,
               home->create_op.message[0] != 0 ? home->create_op.message : evlog_error_text(base->error));
        access_refuse_all(home, base->error);
        return;
    }
    access_next(home);
}

static void topic_create(struct access *home)
{
    topic_config_init_kept(&home->create_config, true);
    home->create_op = (struct topic_op){
        .base = {.done = create_on_done, .arg = home},
        .verb = TOPIC_CREATE,
        .name = el_slice_str(ACCESS_TOPIC),
        .partition_count = 1,
        .internal = true,
        .config = &home->create_config,
    };
    home->creating = true;
    home->busy++;
    store_topic_change(home->shard, &home->create_op);
}

/* --- one after the other ------------------------------------------------------------------------------------------ */

/* Is the way free for the next one? */
static bool may_begin(const struct access *home)
{
    return home->current == NULL && !home->creating && home->preparing == ACCESS_PREPARED &&
           !el_list_empty(&home->queue);
}

static bool may_prepare(const struct access *home)
{
    return home->reports_left == 0 && home->preparing == ACCESS_PREPARE_IDLE && !home->stopping && !home->unreadable;
}

void access_next(struct access *home)
{
    EL_ASSERT(home->index == ACCESS_HOME);
    if (home->pumping) {
        return; /* a change has ended at once: the loop below takes the next */
    }
    home->pumping = true;
    while (may_prepare(home)) {
        access_prepare(home);
    }
    while (may_begin(home) && !home->stopping && !home->unreadable) {
        const struct topic *topic = store_topic_by_name(home->shard, el_slice_str(ACCESS_TOPIC));
        if (topic == NULL) {
            topic_create(home);
            continue;
        }
        home->current = EL_CONTAINER(el_list_pop_front(&home->queue), struct access_op, link);
        home->retry.fire = tell_on_retry;
        home->retry.arg = home;
        change_append(home, topic);
    }
    home->pumping = false;
    if (home->stopping) {
        access_refuse_all(home, EVLOG_ERR_CLOSED);
    } else if (home->unreadable) {
        access_refuse_all(home, EVLOG_ERR_STORAGE); /* what is there is not known: nothing is put on top of it */
    }
}

void access_change_stop(struct access *home)
{
    access_refuse_all(home, EVLOG_ERR_CLOSED);
    if (home->retry.heap_index != 0) {
        io_timer_cancel(home->io, &home->retry);
        change_end(home, EVLOG_ERR_CLOSED);
    }
}
