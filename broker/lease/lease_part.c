/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of a part.
 *
 *   1. the first op for it makes it (STARTING): where the group begins is looked up by its settings, and stored before
 *      anything is delivered, for a start at the latest event would be another one after a crash
 *   2. one that was read from __evlog_groups (STORED) is brought to life by the first op; one with dead letters on
 *      their way at once
 *   3. READY: ops run, and each event ends with a turn: what is due in the table, dead letters, read-ahead, a write,
 *      whoever waits for events. The timer brings the next one
 *   4. its topic or group goes, or an operator forgets it (ENDING): what waits is answered, what is under way ends, its
 *      records are deleted; only then may it be made anew, for a block left over would hide events
 */
#include <lease/lease_part.h>

#include <core/logger.h>
#include <stdio.h>

#define ERASE_RETRY_NS 1000000000u
#define DELAYED_TURN_NS 2000000000u /* the wall clock may jump, so what waits for it is looked at so often */
#define TURNS_MAX 64u               /* in a row, then others get theirs */

static void part_check(const void *object, unsigned state)
{
    const struct lease_part *part = object;
    if (state == PART_READY || state == PART_MOVING) {
        EL_ASSERT(part->table != NULL);
        EL_ASSERT(el_list_empty(&part->stored));
    }
    if (state == PART_STORED) {
        EL_ASSERT(part->table == NULL);
    }
}

static const struct el_sm_state states[LEASE_PART_STATE_COUNT] = {
    [PART_STORED] = {"stored", EL_SM_TO(PART_STARTING) | EL_SM_TO(PART_READY) | EL_SM_TO(PART_ENDING)},
    [PART_STARTING] = {"starting", EL_SM_TO(PART_READY) | EL_SM_TO(PART_ENDING)},
    [PART_READY] = {"ready", EL_SM_TO(PART_MOVING) | EL_SM_TO(PART_ENDING)},
    [PART_MOVING] = {"moving", EL_SM_TO(PART_READY) | EL_SM_TO(PART_ENDING)},
    [PART_ENDING] = {"ending", EL_SM_TO(PART_ENDED)},
    [PART_ENDED] = {"ended", 0},
};
const struct el_sm_table lease_part_sm = {"lease part", states, LEASE_PART_STATE_COUNT, part_check};

struct lease_now lease_part_now(const struct lease_part *part)
{
    const struct leases *ls = lease_part_leases(part);
    return (struct lease_now){.mono_ns = ls->io->now_ns, .wall_ms = lease_wall_ms(ls)};
}

const char *lease_part_text(const struct lease_part *part, char *text, size_t text_len)
{
    const struct topic *topic = store_topic_by_id(lease_part_leases(part)->shard, &part->key.topic_id);
    snprintf(text, text_len, "%s %d (group %.*s)", topic == NULL ? "deleted topic" : topic->name, part->key.partition,
             (int)part->group->id.len, (const char *)part->group->id.data);
    return text;
}

void lease_part_pin(struct lease_part *part)
{
    OBJ_CHECK(part, LEASE_PART);
    part->pins++;
    lease_part_leases(part)->busy++;
}

/* After a turn the timer knows what is next. */
static void unpin(struct lease_part *part, bool after_turn)
{
    struct leases *ls = lease_part_leases(part);
    OBJ_CHECK(part, LEASE_PART);
    EL_ASSERT(part->pins > 0);
    EL_ASSERT(ls->busy > 0);
    part->pins--;
    ls->busy--;
    if (part->pins > 0) {
        return;
    }
    bool waits = part->sm.state == PART_ENDING || part->sm.state == PART_MOVING;
    if (part->sm.state == PART_ENDED) {
        lease_part_destroy(part);
    } else if (waits && !after_turn) {
        lease_part_turn_at(part, ls->io->now_ns);
    }
}

void lease_part_unpin(struct lease_part *part)
{
    unpin(part, false);
}

/* --- rules -------------------------------------------------------------------------------------------------------- */

static struct lease_rules rules_of(const struct group_config *config)
{
    static const enum lease_order orders[] = {[GROUP_ORDER_KEY] = LEASE_ORDER_KEY,
                                              [GROUP_ORDER_PARTITION] = LEASE_ORDER_PARTITION,
                                              [GROUP_ORDER_NONE] = LEASE_ORDER_NONE};
    static const enum lease_exhausted ends[] = {
        [GROUP_EXHAUSTED_SKIP] = LEASE_SKIP, [GROUP_EXHAUSTED_PARK] = LEASE_PARK, [GROUP_EXHAUSTED_HALT] = LEASE_HALT};
    int64_t backoff_ms = group_config_int(config, GROUP_SETTING_RETRY_BACKOFF_MS);
    int64_t backoff_max_ms = group_config_int(config, GROUP_SETTING_RETRY_BACKOFF_MAX_MS);
    return (struct lease_rules){
        .order = orders[group_config_int(config, GROUP_SETTING_ORDER)],
        .inflight_max = (uint32_t)group_config_int(config, GROUP_SETTING_MAX_INFLIGHT),
        .attempts_max = (int32_t)group_config_int(config, GROUP_SETTING_RETRY_MAX_ATTEMPTS),
        .lease_ms = group_config_int(config, GROUP_SETTING_LEASE_MS),
        .backoff_ms = backoff_ms,
        .backoff_max_ms = EL_MAX(backoff_ms, backoff_max_ms),
        .backoff_multiplier_milli = (uint32_t)(group_config_int(config, GROUP_SETTING_RETRY_MULTIPLIER) / 1000),
        .full_jitter = group_config_int(config, GROUP_SETTING_RETRY_JITTER) == GROUP_JITTER_FULL,
        .age_max_ms = group_config_int(config, GROUP_SETTING_RETRY_MAX_AGE_MS),
        .on_exhausted = ends[group_config_int(config, GROUP_SETTING_ON_EXHAUSTED)],
    };
}

static void take_rules(struct lease_part *part)
{
    struct lease_rules rules = rules_of(part->group->config);
    part->rules_wait = lease_set_rules(part->table, &rules) != 0;
}

void lease_part_new_rules(struct lease_part *part)
{
    if (part->table != NULL && part->sm.state != PART_ENDING) {
        take_rules(part);
        lease_part_turn_at(part, lease_part_leases(part)->io->now_ns);
    }
}

/* A lease has ended by itself: who had it is not known here any more. */
static void on_expiry(void *arg, int64_t offset)
{
    struct lease_part *part = arg;
    struct leases *ls = lease_part_leases(part);
    metrics_add(ls->metrics, METRIC_LEASES_EXPIRED, 1);
    lease_story_add(&part->stories, offset,
                    &(struct lease_attempt){.time_ms = lease_wall_ms(ls), .outcome = "timeout"});
}

static int table_make(struct lease_part *part, int64_t start)
{
    struct lease_rules rules = rules_of(part->group->config);
    EL_ASSERT(part->table == NULL);
    int code = lease_table_create(lease_part_leases(part)->tables, &rules, start, &part->table);
    if (code == 0) {
        lease_on_expiry(part->table, on_expiry, part);
    }
    return code;
}

/* --- a new part --------------------------------------------------------------------------------------------------- */

void lease_part_end_waiting(struct lease_part *part, int error)
{
    struct el_list ops;
    el_list_init(&ops);
    el_list_splice_back(&ops, &part->waiting);
    for (struct el_list *node = el_list_pop_front(&ops); node != NULL; node = el_list_pop_front(&ops)) {
        lease_op_finish(EL_CONTAINER(node, struct lease_op, link), error);
    }
}

void lease_part_wait(struct lease_part *part, struct lease_op *op)
{
    el_list_push_back(&part->waiting, &op->link);
    op->flags |= LEASE_OP_WAITS;
}

void lease_part_run_waiting(struct lease_part *part)
{
    struct leases *ls = lease_part_leases(part);
    struct el_list ops;
    el_list_init(&ops);
    el_list_splice_back(&ops, &part->waiting);
    for (struct el_list *node = el_list_pop_front(&ops); node != NULL; node = el_list_pop_front(&ops)) {
        struct lease_op *op = EL_CONTAINER(node, struct lease_op, link);
        op->run(ls, op);
    }
}

static void start_failed(struct lease_part *part, int error)
{
    struct leases *ls = lease_part_leases(part);
    if (error == EVLOG_ERR_UNKNOWN_TOPIC || ls->stopping) {
        lease_part_end(part, ls->stopping ? EVLOG_ERR_CLOSED : error);
        return;
    }
    /* The next op begins anew. */
    part->starting = false;
    lease_part_end_waiting(part, error);
}

static void start_at(struct lease_part *part, int64_t offset)
{
    int code = table_make(part, EL_MAX(offset, part->stat.log_start_offset));
    if (code != 0) {
        start_failed(part, code);
        return;
    }
    lease_save_now(part);
    lease_part_turn(part);
}

void lease_part_started(struct lease_part *part, int error)
{
    EL_ASSERT(part->sm.state == PART_STARTING);
    if (error != 0) {
        lease_part_end_waiting(part, error); /* the write is repeated */
        return;
    }
    el_sm_move(&part->sm, part, PART_READY);
    lease_part_run_waiting(part);
}

static void start_on_lookup(struct store_op *base)
{
    struct lease_part *part = base->arg;
    OBJ_CHECK(part, LEASE_PART);
    if (part->sm.state == PART_STARTING && base->error != 0) {
        start_failed(part, base->error);
    } else if (part->sm.state == PART_STARTING) {
        start_at(part, part->lookup.offset < 0 ? part->stat.high_watermark : part->lookup.offset);
    }
    lease_part_unpin(part);
}

static void start_by_time(struct lease_part *part, int64_t time_ms)
{
    part->lookup = (struct lookup_op){
        .base = {.done = start_on_lookup, .arg = part},
        .topic_id = part->key.topic_id,
        .partition = part->key.partition,
        .timestamp = EL_MAX(time_ms, (int64_t)0),
        .current_leader_epoch = -1,
    };
    lease_part_pin(part);
    store_lookup(lease_part_leases(part)->shard, &part->lookup);
}

static void start_on_stat(struct store_op *base)
{
    struct lease_part *part = base->arg;
    OBJ_CHECK(part, LEASE_PART);
    struct group_start start = {.kind = GROUP_START_LATEST};
    if (part->sm.state != PART_STARTING) {
        lease_part_unpin(part);
        return;
    }
    if (base->error != 0) {
        start_failed(part, base->error);
        lease_part_unpin(part);
        return;
    }
    group_config_start(part->group->config, part->key.partition, lease_wall_ms(lease_part_leases(part)), &start);
    if (part->start_fixed != LEASE_START_BY_GROUP) {
        start.kind = part->start_fixed == LEASE_START_LATEST     ? GROUP_START_LATEST
                     : part->start_fixed == LEASE_START_EARLIEST ? GROUP_START_EARLIEST
                                                                 : GROUP_START_OFFSET;
        start.value = part->start_fixed;
    }
    switch (start.kind) {
    case GROUP_START_LATEST:
        start_at(part, part->stat.high_watermark);
        break;
    case GROUP_START_EARLIEST:
        start_at(part, part->stat.log_start_offset);
        break;
    case GROUP_START_TIME:
        start_by_time(part, start.value);
        break;
    case GROUP_START_OFFSET:
        start_at(part, EL_MIN(start.value, part->stat.high_watermark));
        break;
    }
    lease_part_unpin(part);
}

static void start_begin(struct lease_part *part)
{
    part->starting = true;
    part->stat = (struct stat_op){
        .base = {.done = start_on_stat, .arg = part},
        .topic_id = part->key.topic_id,
        .partition = part->key.partition,
    };
    lease_part_pin(part);
    store_stat(lease_part_leases(part)->shard, &part->stat);
}

/* --- a part that was read ----------------------------------------------------------------------------------------- */

static struct lease_stored *stored_part(struct lease_part *part)
{
    EL_LIST_EACH(node, &part->stored) {
        struct lease_stored *stored = EL_CONTAINER(node, struct lease_stored, link);
        if (stored->kind == LEASE_RECORD_PART) {
            return stored;
        }
    }
    return NULL;
}

static int restore_one(struct lease_part *part, const struct lease_stored *stored)
{
    struct lease_record_key key;
    struct lease_record_parked parked;
    struct lease_record_mark mark;
    int64_t base;
    int code = lease_record_key_decode(stored->key, &key);
    if (code != 0) {
        return code;
    }
    switch (stored->kind) {
    case LEASE_RECORD_BLOCK:
        code = lease_block_restore(part->table, (uint64_t)key.number, stored->value);
        return code == EVLOG_ERR_MALFORMED ? EVLOG_ERR_CORRUPT : code;
    case LEASE_RECORD_PARKED:
        code = lease_record_parked_decode(stored->value, &parked);
        if (code == 0 && key.key.len > LEASE_PARK_KEY_LEN_MAX) {
            code = EVLOG_ERR_CORRUPT;
        }
        return code != 0 ? code : lease_park_key(part, key.key, &parked, true);
    case LEASE_RECORD_STORY:
        return lease_story_restore(&part->stories, key.number, stored->value);
    case LEASE_RECORD_EMITS:
        return lease_emit_restore(part, key.number, stored->value);
    case LEASE_RECORD_BASE:
        code = lease_record_base_decode(stored->value, &base);
        if (code == 0) {
            lease_base_restore(part->table, base);
            part->back.base_stored = true;
            part->back.base_written = part->back.base_writing = base;
        }
        return code;
    case LEASE_RECORD_MARK:
        code = lease_record_mark_decode(stored->value, &mark);
        return code != 0 ? code : lease_mark_restore(part, &key, &mark);
    case LEASE_RECORD_PART:
    case LEASE_RECORD_SETTINGS:
    case LEASE_RECORD_REDRIVE:
    case LEASE_RECORD_LETTERS:
        return 0;
    }
    return EVLOG_ERR_CORRUPT;
}

static void restore_undo(struct lease_part *part)
{
    lease_bury_free(part);
    lease_emit_free(part);
    lease_park_free_all(part);
    el_map_init(&part->parked, lease_part_leases(part)->buddy);
    lease_stories_free(&part->stories);
    lease_stories_init(&part->stories, lease_part_leases(part));
    lease_again_free(part);
    lease_again_init(part);
    lease_table_destroy(part->table);
    part->table = NULL;
}

/* Everything that was read becomes what it stands for. */
static int restore(struct lease_part *part)
{
    struct lease_record_part record = {0};
    int code = lease_record_part_decode(stored_part(part)->value, &record);
    code = code != 0 ? code : table_make(part, record.start);
    if (code != 0) {
        return code;
    }
    part->producer_id = record.producer_id;
    part->next_sequence = record.next_sequence;
    EL_LIST_EACH(node, &part->stored) {
        code = code != 0 ? code : restore_one(part, EL_CONTAINER(node, struct lease_stored, link));
    }
    for (uint32_t i = 0; i < record.intent_count && code == 0; i++) {
        code = lease_bury_restore(part, &record.intents[i]);
    }
    if (code != 0) {
        restore_undo(part);
        return code;
    }
    lease_emit_restored(part);
    lease_part_forget_stored(part);
    el_sm_move(&part->sm, part, PART_READY);
    if (record.intent_count > 0 || lease_emit_under_way(part)) {
        lease_part_turn_at(part, lease_part_leases(part)->io->now_ns); /* that goes on, whoever has woken it */
    }
    return 0;
}

int lease_part_wake_quietly(struct lease_part *part)
{
    EL_ASSERT(lease_part_leases(part)->state == LEASES_READY);
    EL_ASSERT(part->sm.state == PART_STORED);
    if (el_list_empty(&part->stored)) {
        el_sm_move(&part->sm, part, PART_STARTING);
        return 0;
    }
    return restore(part);
}

int lease_part_wake(struct lease_part *part)
{
    char text[LEASE_PART_TEXT_MAX];
    int code = lease_part_wake_quietly(part);
    if (code != 0 && lease_may_log(lease_part_leases(part))) {
        el_log(EL_LOG_ERROR, "lease", "%s: its progress cannot be restored: %s%s",
               lease_part_text(part, text, sizeof text), evlog_error_text(code),
               code == EVLOG_ERR_NO_MEMORY ? "; raise group.memory.max" : "");
    }
    return code;
}

/* --- ops ---------------------------------------------------------------------------------------------------------- */

/* The group and partition of an op exist. returns an error otherwise, or 0 */
static int op_check(struct leases *ls, const struct lease_op *op, const struct el_uuid *topic_id, int32_t partition)
{
    struct lease_group *group = lease_group_find(ls, op->group_id);
    const struct topic *topic = store_topic_by_id(ls->shard, topic_id);
    if (topic == NULL) {
        return EVLOG_ERR_UNKNOWN_TOPIC_ID;
    }
    if (partition < 0 || partition >= topic->partition_count || topic->shard_of[partition] != ls->index) {
        return EVLOG_ERR_UNKNOWN_TOPIC;
    }
    if (group == NULL || !group->exists) {
        return ls->state == LEASES_READY && !ls->known ? EVLOG_ERR_GROUP_LOADING : EVLOG_ERR_GROUP_NOT_FOUND;
    }
    return topic->internal ? EVLOG_ERR_INVALID_TOPIC : 0;
}

struct lease_part *lease_part_for(struct leases *ls, struct lease_op *op, const struct el_uuid *topic_id,
                                  int32_t partition)
{
    int code = op_check(ls, op, topic_id, partition);
    if (code != 0) {
        lease_op_finish(op, code);
        return NULL;
    }
    struct lease_group *group = lease_group_find(ls, op->group_id);
    struct lease_part *part = lease_part_find(group, topic_id, partition);
    part = part != NULL ? part : lease_part_create(group, topic_id, partition);
    code = part == NULL ? EVLOG_ERR_NO_MEMORY : part->sm.state == PART_STORED ? lease_part_wake(part) : 0;
    if (code != 0) {
        lease_op_finish(op, code);
        return NULL;
    }
    switch ((enum lease_part_state)part->sm.state) {
    case PART_READY:
        return part;
    case PART_MOVING:
        lease_part_wait(part, op);
        return NULL;
    case PART_STARTING:
        lease_part_wait(part, op);
        if (part->table == NULL && !part->starting) {
            start_begin(part);
        }
        return NULL;
    case PART_STORED:
    case PART_ENDING:
    case PART_ENDED:
    case LEASE_PART_STATE_COUNT:
        break;
    }
    lease_op_finish(op, part->end_error == 0 ? EVLOG_ERR_AGAIN : part->end_error);
    return NULL;
}

/* --- the turn ----------------------------------------------------------------------------------------------------- */

/* One for each event that may be leased, the first who came first. */
static void wake_watchers(struct lease_part *part)
{
    if (el_list_empty(&part->watchers) || !lease_ready(part->table)) {
        return;
    }
    struct lease_counts counts = lease_counts(part->table);
    for (uint32_t i = 0; i < counts.of[LEASE_STATE_READY] && !el_list_empty(&part->watchers); i++) {
        lease_op_finish(EL_CONTAINER(el_list_pop_front(&part->watchers), struct lease_op, link), 0);
    }
}

static void ready_turn(struct lease_part *part)
{
    struct lease_now now = lease_part_now(part);
    if (part->start_wanted > lease_start(part->table) && !lease_set_start(part->table, part->start_wanted, now)) {
        part->again = true;
    }
    part->tick_ns = lease_tick(part->table, now);
    if (part->rules_wait && lease_counts(part->table).total == 0) {
        take_rules(part);
    }
    lease_bury_turn(part);
    lease_fill_turn(part);
    lease_emit_turn(part);
    lease_gather_turn(part);
    wake_watchers(part);
}

static void enders_end(struct lease_part *part, int error)
{
    for (struct el_list *node = el_list_pop_front(&part->enders); node != NULL;
         node = el_list_pop_front(&part->enders)) {
        lease_op_finish(EL_CONTAINER(node, struct lease_op, link), error);
    }
}

void lease_part_end_delayed(struct lease_part *part, int error)
{
    EL_ASSERT(error != 0);
    if (part->sm.state == PART_ENDING) {
        enders_end(part, error);
        lease_group_end_failed(part->group, error);
    }
}

static void ended(struct lease_part *part, int error)
{
    struct leases *ls = lease_part_leases(part);
    if (error != 0) {
        part->erase_ns = ls->io->now_ns + ERASE_RETRY_NS;
        lease_part_end_delayed(part, error);
        return;
    }
    el_sm_move(&part->sm, part, PART_ENDED);
}

/* Nothing is under way any more, but for this turn. */
static void ending_turn(struct lease_part *part)
{
    struct leases *ls = lease_part_leases(part);
    if (!ls->stopping) {
        lease_emit_turn(part);
    }
    if (lease_emit_busy(part) || part->pins > 1 || part->save != NULL || ls->stopping ||
        part->erase_ns > ls->io->now_ns) {
        return;
    }
    if (part->table != NULL && !lease_reset(part->table, 0)) {
        part->again = true;
        return;
    }
    int64_t letters = -1;
    if (part->table == NULL && el_list_empty(&part->stored) && !lease_letters_next(part, &letters)) {
        ended(part, 0);
        return;
    }
    lease_save_erase(part, ended);
}

static uint64_t next_ns(const struct lease_part *part)
{
    const struct leases *ls = lease_part_leases(part);
    if (part->sm.state == PART_ENDING && lease_emit_busy(part)) {
        return lease_emit_next(part);
    }
    if (part->sm.state == PART_ENDING) {
        return part->pins > 1 || part->save != NULL ? UINT64_MAX : EL_MAX(part->erase_ns, ls->io->now_ns);
    }
    if (part->sm.state == PART_MOVING && !part->moved) {
        return part->pins > 1 || part->save != NULL ? UINT64_MAX : ls->io->now_ns;
    }
    uint64_t next = part->save == NULL ? part->write_ns : UINT64_MAX;
    if (part->sm.state != PART_READY) {
        return next;
    }
    next = EL_MIN(next, part->tick_ns);
    next = EL_MIN(next, lease_fill_next(part));
    next = EL_MIN(next, lease_bury_next(part));
    next = EL_MIN(next, lease_emit_next(part));
    next = EL_MIN(next, lease_gather_next(part));
    bool delayed = lease_counts(part->table).of[LEASE_STATE_DELAYED] > 0;
    return delayed ? EL_MIN(next, ls->io->now_ns + DELAYED_TURN_NS) : next;
}

void lease_part_turn(struct lease_part *part)
{
    struct leases *ls = lease_part_leases(part);
    OBJ_CHECK(part, LEASE_PART);
    if (part->turning) {
        part->again = true;
        return;
    }
    lease_part_pin(part);
    part->turning = true;
    uint32_t turns = 0;
    do {
        part->again = false;
        if (part->sm.state == PART_READY && !ls->stopping) {
            ready_turn(part);
        } else if (part->sm.state == PART_MOVING) {
            lease_move_turn(part);
        }
        lease_save_turn(part);
        if (part->sm.state == PART_ENDING) {
            ending_turn(part);
        }
    } while (part->again && ++turns < TURNS_MAX);
    part->turning = false;
    uint64_t next = part->again ? ls->io->now_ns : next_ns(part);
    if (ls->stopping || next == UINT64_MAX || part->sm.state == PART_ENDED) {
        io_timer_cancel(ls->io, &part->timer);
    } else {
        io_timer_set(ls->io, &part->timer, next);
    }
    unpin(part, true);
}

void lease_part_on_timer(struct io_timer *timer)
{
    lease_part_turn(timer->arg);
}

void lease_part_turn_at(struct lease_part *part, uint64_t at_ns)
{
    struct leases *ls = lease_part_leases(part);
    bool sooner = part->timer.heap_index == 0 || part->timer.at_ns > at_ns;
    if (sooner && !ls->stopping && !part->turning) {
        io_timer_set(ls->io, &part->timer, at_ns);
    }
}

/* --- the end ------------------------------------------------------------------------------------------------------ */

void lease_part_close(struct lease_part *part, int error)
{
    lease_part_end_waiting(part, error);
    if (part->mover != NULL) {
        lease_op_finish(&part->mover->base, error);
        part->mover = NULL;
    }
    for (struct el_list *node = el_list_pop_front(&part->watchers); node != NULL;
         node = el_list_pop_front(&part->watchers)) {
        lease_op_finish(EL_CONTAINER(node, struct lease_op, link), error);
    }
    for (struct el_list *node = el_list_pop_front(&part->gathering); node != NULL;
         node = el_list_pop_front(&part->gathering)) {
        lease_op_finish(EL_CONTAINER(node, struct lease_op, link), error);
    }
    for (struct el_list *node = el_list_pop_front(&part->settled); node != NULL;
         node = el_list_pop_front(&part->settled)) {
        lease_call_written(lease_call_of(node), error);
    }
    lease_emit_close(part, error);
    if (lease_part_leases(part)->stopping) {
        enders_end(part, error);
    }
    lease_fill_stop(part);
}

void lease_part_end(struct lease_part *part, int error)
{
    OBJ_CHECK(part, LEASE_PART);
    if (part->sm.state == PART_ENDING || part->sm.state == PART_ENDED) {
        return;
    }
    EL_ASSERT(error != 0);
    if (part->sm.state == PART_STORED && lease_part_has_stored(part, LEASE_RECORD_EMITS) && stored_part(part) != NULL) {
        lease_part_wake(part); /* what is stored is published before it goes; the log says when it cannot be */
    }
    lease_part_pin(part);
    part->end_error = error;
    el_sm_move(&part->sm, part, PART_ENDING);
    lease_part_close(part, error);
    lease_part_unpin(part);
}
