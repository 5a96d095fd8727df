/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog-sim --mode archive: the real store and the archiver on a simulated machine, with an object store that fails,
 * refuses and loses its answers.
 *
 * A seed: a node with 1 to 3 shards, topics that come and go, some of them acknowledged by the archive only, some with
 * so little retention that the archive is all that is left; clients that append batches, operators who delete records,
 * ask for rounds and for segments; several lives, each ended by a crash at any call of the disk or of the object store,
 * a process that just ends or a clean stop. An auditor looks at each root as it appears (archive_bucket.h); between
 * lives and at the end everything in the archive is compared with the logs and with what was acknowledged.
 */
#include "archive_main.h"

#include "../lib/test_keys.h"
#include "archive_life.h"
#include <core/alloc.h>
#include <core/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <storage/shard_state.h>

#define STOP_STEPS_MAX 200000u
#define MEMORY_FEW_MAX (1u << 20)
#define ANSWER_NS_MAX 1000000000u /* from when an answer is due */
#define DRAIN_NS_MAX 15000000000u /* for what has nothing to do with the archive */
#define CLIENTS_NS 5000000u       /* clients do something so often */

/* --- the node ----------------------------------------------------------------------------------------------------- */

static struct archive_life *of(const struct world *w)
{
    return w->upper_arg;
}

static int up(struct world *w, struct el_error *err)
{
    struct archive_life *l = of(w);
    l->stopping_store = false;
    memset(l->waits, 0, sizeof(l->waits));
    bucket_reopen(l->bucket);
    l->bucket->cluster = store_cluster_uuid(w->store);
    int code = archive_create(&l->cfg, w->store, &l->archive, err);
    sim_disk_shelter(w->disk, true); /* its list is read; a start that is cut short there is one that never was */
    code = code != 0 ? code : redactor_create(w->store, l->archive, w->ios[0]->disk, &l->redactor, err);
    sim_disk_shelter(w->disk, false);
    for (uint32_t i = 0; i < w->shard_count && code == 0; i++) {
        store_shard_start(store_shard_at(w->store, i));
        archiver_start(archive_shard(l->archive, i));
    }
    if (code == 0) {
        redactor_start(l->redactor);
    }
    return code;
}

static uint64_t turn(struct world *w, uint32_t shard)
{
    el_alloc_seal(true);
    io_step(w->ios[shard], 0);
    uint64_t wish_ns = sim_disk_crashed(w->disk) ? 0 : store_shard_tick(store_shard_at(w->store, shard));
    el_alloc_seal(false);
    return wish_ns;
}

static bool idle(const struct archive_life *l)
{
    for (uint32_t i = 0; i < l->w.shard_count; i++) {
        if (!archiver_idle(archive_shard(l->archive, i))) {
            return false;
        }
    }
    return true;
}

static void on_stopped(void *arg)
{
    struct world *w = arg;
    w->stopped_count++;
}

static bool any_busy(const struct archive_life *l)
{
    bool busy = false;
    for (uint32_t i = 0; i < l->client_count; i++) {
        busy = busy || l->clients[i].busy;
    }
    return busy;
}

/* For the archive to have them, or to say what it has. */
static bool any_awaits(const struct world *w)
{
    bool awaits = false;
    for (uint32_t i = 0; i < w->shard_count; i++) {
        const struct store_shard *shard = store_shard_at(w->store, i);
        awaits = awaits || !el_list_empty(&shard->awaiting) || !el_list_empty(&shard->tier_held);
    }
    return awaits;
}

/* The time in which a broker answers what it has read, before it cuts connections: what waits for the archive is
 * answered in it, also when that is away. returns false: crashed, or a violation */
static bool drain(struct world *w)
{
    const struct archive_life *l = of(w);
    uint64_t answer_by_ns = w->clock.now_ns + 1 + world_below(w, 5000000000), since_ns = 0;
    for (uint32_t i = 0; i < w->shard_count; i++) {
        store_tier_stop(store_shard_at(w->store, i), answer_by_ns);
    }
    for (uint32_t i = 0; i < STOP_STEPS_MAX && any_busy(l); i++) {
        bool late = w->clock.now_ns > answer_by_ns && any_awaits(w);
        since_ns = !late ? 0 : since_ns == 0 ? w->clock.now_ns : since_ns;
        if (late && w->clock.now_ns - since_ns > ANSWER_NS_MAX) {
            world_violation(w, "an append that waits for the archive is not answered before connections are cut");
            return false;
        }
        if (w->clock.now_ns > answer_by_ns + DRAIN_NS_MAX) {
            break; /* for another reason: the disk is full, or slow */
        }
        if (!world_step(w)) {
            return false;
        }
    }
    return true;
}

static bool stop(struct world *w)
{
    struct archive_life *l = of(w);
    l->serving = false;
    redactor_stop(l->redactor);
    if (!drain(w)) {
        return false;
    }
    uint64_t deadline_ns = w->clock.now_ns + world_below(w, 20000000000);
    for (uint32_t i = 0; i < w->shard_count; i++) {
        archiver_stop(archive_shard(l->archive, i), deadline_ns);
    }
    for (uint32_t i = 0; i < STOP_STEPS_MAX && !idle(l); i++) {
        if (!world_step(w)) {
            return false;
        }
    }
    if (!idle(l)) {
        world_violation(w, "stuck: the archiver did not stop");
        return false;
    }
    l->stopping_store = true;
    for (uint32_t i = 0; i < w->shard_count; i++) {
        store_shard_stop(store_shard_at(w->store, i), on_stopped, w);
    }
    return true;
}

static void down(struct world *w)
{
    struct archive_life *l = of(w);
    l->serving = false;
    redactor_destroy(l->redactor);
    l->redactor = NULL;
    archive_destroy(l->archive);
    l->archive = NULL;
    l->unanswered = any_busy(l);
    for (uint32_t i = 0; i < l->client_count; i++) {
        l->clients[i].busy = false;
    }
}

static void client_send(struct client *c);

static void step(struct world *w)
{
    struct archive_life *l = of(w);
    for (uint32_t i = 0; i < l->client_count && l->serving; i++) {
        if (!l->clients[i].busy && world_chance(w, 200000)) {
            client_send(&l->clients[i]);
        }
    }
}

static uint64_t next(const struct world *w)
{
    return of(w)->serving ? w->clock.now_ns + CLIENTS_NS : UINT64_MAX;
}

const struct world_upper arch_upper = {.up = up, .stop = stop, .down = down, .turn = turn, .step = step, .next = next};

/* --- clients ------------------------------------------------------------------------------------------------------ */

static void acked_add(struct life_part *p, struct acked acked)
{
    if (p->acked_count == p->acked_room) {
        p->acked_room = EL_MAX(p->acked_room * 2, 64u);
        p->acked = realloc(p->acked, p->acked_room * sizeof *p->acked);
        EL_ASSERT(p->acked != NULL);
    }
    p->acked[p->acked_count++] = acked;
}

static void client_on_done(struct store_op *base)
{
    struct client *c = base->arg;
    struct archive_life *l = c->l;
    struct life_topic *t = &l->topics[c->topic];
    c->busy = false;
    if (base->error == EVLOG_ERR_CONFLICT && !l->strays) {
        world_violation(&l->w, "an append was refused, for the archive is said to have more than the disk");
    }
    if (base->error != 0 || !el_uuid_eq(&t->id, &c->op.topic_id)) {
        return;
    }
    int64_t end = c->op.base_offset + c->op.info.last_offset_delta + 1;
    acked_add(&t->parts[c->op.partition], (struct acked){.offset = c->op.base_offset,
                                                         .first_number = c->first_number,
                                                         .crc = c->op.info.crc,
                                                         .count = (uint32_t)c->op.info.record_count,
                                                         .append_time_ns = c->op.append_time_ns,
                                                         .key = c->key});
    if (c->late && c->op.base_offset < bucket_end(l->bucket, &t->id, c->op.partition)) {
        world_violation(&l->w,
                        "offset %lld of partition %d was acknowledged, and the archive has another event there, up to "
                        "%lld",
                        (long long)c->op.base_offset, c->op.partition,
                        (long long)bucket_end(l->bucket, &t->id, c->op.partition));
    }
    l->acks++;
    if (t->awaited) {
        l->awaited_acks++;
        if (bucket_end(l->bucket, &t->id, c->op.partition) < end) {
            world_violation(&l->w, "offset %lld of partition %d was acknowledged by the archive, which ends at %lld",
                            (long long)end - 1, c->op.partition,
                            (long long)bucket_end(l->bucket, &t->id, c->op.partition));
        }
    }
}

static void batch_build(struct client *c)
{
    static uint8_t value[VALUE_MAX];
    struct world *w = &c->l->w;
    struct el_batch_builder builder;
    struct el_slice batch;
    bool compacted = c->l->topics[c->topic].compacted;
    uint64_t count = compacted ? 1 : 1 + world_below(w, BATCH_RECORDS_MAX);
    uint8_t key;
    c->key = compacted ? (uint32_t)world_below(w, LIFE_KEYS) : 0;
    key = (uint8_t)('a' + c->key);
    size_t value_max = world_chance(w, 50000) ? VALUE_MAX : 200;
    el_batch_builder_init(&builder, BUF_LEN);
    c->first_number = c->l->numbers + 1;
    for (uint64_t i = 0; i < count; i++) {
        size_t len = 8 + world_below(w, value_max - 8);
        el_put_le64(value, arch_value(++c->l->numbers));
        struct el_record_body body = {.value = el_slice_of(value, len)};
        if (compacted) {
            body.key = el_slice_of(&key, 1);
        }
        int code = el_batch_builder_add(&builder, 1000, &body);
        EL_ASSERT(code == 0);
    }
    int code = el_batch_builder_finish(&builder, EL_CODEC_NONE, NULL, &batch);
    EL_ASSERT(code == 0);
    EL_ASSERT(batch.len <= sizeof c->buf);
    memcpy(c->buf, batch.data, batch.len);
    c->len = (uint32_t)batch.len;
    el_batch_builder_destroy(&builder);
}

static void client_send(struct client *c)
{
    static uint8_t scratch[64u << 10];
    struct archive_life *l = c->l;
    c->topic = (uint32_t)world_below(&l->w, TOPICS_MAX);
    const struct life_topic *t = &l->topics[c->topic];
    if (!t->there) {
        return;
    }
    batch_build(c);
    c->op = (struct append_op){.base = {.done = client_on_done, .arg = c},
                               .topic_id = t->id,
                               .partition = (int32_t)world_below(&l->w, (uint64_t)t->partition_count),
                               .batch = c->buf,
                               .batch_len = c->len};
    int code = el_batch_check(c->buf, c->len, EL_BATCH_LEN_MAX, scratch, sizeof scratch, &c->op.info);
    EL_ASSERT(code == 0);
    c->busy = true;
    c->late = l->ended;
    store_append(store_shard_at(l->w.store, (uint32_t)world_below(&l->w, l->w.shard_count)), &c->op);
}

/* Nobody waits for an answer any more. Those of the archive come when it is there. returns false: crashed, or stuck */
bool arch_clients_rest(struct archive_life *l)
{
    bool waits = true;
    l->serving = false;
    for (uint32_t i = 0; i < STOP_STEPS_MAX && waits; i++) {
        waits = false;
        for (uint32_t k = 0; k < l->client_count; k++) {
            waits = waits || l->clients[k].busy;
        }
        if (waits && !world_step(&l->w)) {
            return false;
        }
        if (i == STOP_STEPS_MAX / 2 && l->w.disk_bounded) {
            world_space_returns(&l->w);
        }
    }
    if (waits) {
        world_violation(&l->w, "stuck: an append is never answered");
    }
    return !waits;
}

/* --- lives -------------------------------------------------------------------------------------------------------- */

static void choose_faults(struct archive_life *l)
{
    struct world *w = &l->w;
    world_faults(w, true);
    if (world_chance(w, w->knobs.ppm[FAULT_CRASH])) {
        sim_disk_crash_at(w->disk, 1 + world_below(w, 4000));
    }
}

static void end_faults(struct archive_life *l)
{
    world_faults(&l->w, false);
    sim_disk_crash_at(l->w.disk, 0);
    l->bucket->refuses_until_ns = 0;
}

/* Something that is not an append. returns false: crashed or a violation */
static bool act(struct archive_life *l)
{
    uint32_t index = (uint32_t)world_below(&l->w, TOPICS_MAX);
    int code;
    if (l->w.disk_bounded) {
        world_space_returns(&l->w); /* what is asked now is waited for */
    }
    arch_check_floors(l);
    arch_check_full(l);
    for (uint32_t i = 0; i < l->w.shard_count; i++) {
        archive_waits_check(&l->w, i, &l->waits[i]);
    }
    if (!l->topics[index].there && world_chance(&l->w, 500000)) {
        return arch_topic_make(l, index);
    }
    if (l->redacts && world_chance(&l->w, 300000)) {
        return world_chance(&l->w, 400000) ? arch_redact_look(l, index) : arch_redact(l, index);
    }
    if (world_chance(&l->w, 400000)) {
        return arch_read(l, index);
    }
    if (world_chance(&l->w, 200000)) {
        return arch_lookup(l, index);
    }
    if (l->topics[index].there && sim_disk_fault(l->w.disk, FAULT_TOPIC_GROWS)) {
        return arch_topic_grow(l, index);
    }
    if (l->trims && world_chance(&l->w, 300000)) {
        return arch_trim(l, index);
    }
    if (l->deletes && world_chance(&l->w, 150000)) {
        return arch_topic_delete(l, index);
    }
    if (world_chance(&l->w, 300000)) {
        return arch_now(l, false, world_chance(&l->w, 300000), &code);
    }
    return l->w.violation[0] == 0;
}

static void end_life(struct archive_life *l, bool crashed)
{
    struct world *w = &l->w;
    l->boot.stopped = false;
    if (!crashed && world_chance(w, 400000)) {
        bool failed = world_failed_shard(w);
        world_say(w, "stop", 0, 0);
        if (world_stop(w)) {
            l->boot.stopped = !failed && w->stopped_well;
            if (w->stopped_well && l->unanswered) {
                world_violation(w, "an append was never answered by a stop");
            }
            sim_disk_process_exit(w->disk);
            return;
        }
        if (w->violation[0] != 0) {
            return;
        }
        crashed = sim_disk_crashed(w->disk);
    }
    boot_kill(&l->boot, crashed);
}

void arch_life_free(struct archive_life *l)
{
    for (uint32_t i = 0; i < TOPICS_MAX; i++) {
        for (int32_t k = 0; k < PARTITIONS_MAX; k++) {
            free(l->topics[i].parts[k].acked);
        }
    }
    free(l);
}

static void live(struct archive_life *l)
{
    struct world *w = &l->w;
    choose_faults(l);
    l->full = false;
    uint64_t steps = EL_MIN(500 + world_below(w, 5000), l->plan.limits[LIMIT_STEPS]);
    bool whole = true;
    l->lives++;
    l->steps_longest = EL_MAX(l->steps_longest, steps);
    if (!l->topics[0].there) {
        whole = arch_topic_make(l, 0);
    }
    l->serving = whole;
    for (uint64_t k = 0; k < steps && whole && w->violation[0] == 0; k++) {
        whole = world_step(w);
        if (whole && world_chance(w, 1500)) {
            whole = act(l);
        }
    }
    l->serving = false;
    if (w->violation[0] == 0) {
        bool crashed = sim_disk_crashed(w->disk);
        char text[256];
        if (archive_full(l->archive, text, sizeof text)) {
            sim_disk_fault_count(w->disk, FAULT_MEMORY_FEW);
        }
        if (!crashed) {
            arch_check_floors(l);
        }
        end_life(l, crashed);
        end_faults(l);
        if (w->violation[0] == 0 && bucket_audit(l->bucket)) {
            arch_compare_topics(l);
            arch_check_whole(l, l->bucket->state->header.cut_ns);
        }
    }
}

/* Without faults everything that is durable comes into the archive. */
static void last_look(struct archive_life *l)
{
    struct world *w = &l->w;
    int code = 0;
    world_say(w, "the last look", 0, 0);
    bool seal = world_chance(w, 500000);
    if (!arch_clients_rest(l) || (l->trims && world_chance(w, 300000) && !arch_trim_whole(l))) {
        return;
    }
    for (uint32_t i = 0; i < TOPICS_MAX; i++) {
        for (int32_t k = 0; k < PARTITIONS_MAX; k++) {
            bool there = l->topics[i].there && k < l->topics[i].partition_count;
            l->log_starts[i][k] = there ? arch_log_start(l, &l->topics[i], k) : -1;
        }
    }
    if (!arch_now(l, true, false, &code) || (seal && !arch_now(l, true, true, &code))) {
        return;
    }
    if (code != 0) {
        world_violation(w, "the last round was refused: %s", evlog_error_text(code));
    }
    arch_check_floors(l);
    arch_check_whole(l, UINT64_MAX);
    arch_check_orphans(l);
    arch_check_redacted(l);
    arch_check_starts(l);
    arch_check_bundles(l);
    if (w->violation[0] == 0 && bucket_audit(l->bucket)) {
        arch_compare_topics(l);
        arch_compare_logs(l, false);
        arch_read_all(l);
    }
}

/* Those in use sign; whoever verifies knows all that were ever in use. */
static void keys_use(struct archive_life *l)
{
    l->cfg.key_count = 0;
    l->bucket->public_count = l->key_end;
    for (size_t i = 0; i < l->key_end; i++) {
        el_private_key_public(l->keys[i], &l->bucket->publics[i]);
    }
    for (size_t i = l->key_first; i < l->key_end; i++) {
        l->cfg.keys[l->cfg.key_count++] = l->keys[i];
    }
}

/* Does the newest root say that the key signs? */
static bool key_stated(const struct archive_life *l, size_t index)
{
    const struct el_public_key *key = &l->bucket->publics[index];
    const struct archive_state *state = l->bucket->state;
    for (size_t i = 0; i < state->key_count; i++) {
        if (!state->keys[i].now.retired && el_slice_eq(state->keys[i].now.bytes, el_slice_of(key->bytes, key->len))) {
            return true;
        }
    }
    return false;
}

/* Between two lives: the next key comes beside the old one, or the old one goes. */
static void keys_rotate(struct archive_life *l)
{
    if (l->key_end - l->key_first > 1 && key_stated(l, l->key_end - 1)) {
        l->key_first++;
    } else if (l->key_end < LIFE_PAIRS) {
        l->key_end++;
    } else {
        return;
    }
    world_say(&l->w, "keys change", (long long)l->key_first, (long long)l->key_end);
    sim_disk_fault_count(l->w.disk, FAULT_KEYS_CHANGE);
    keys_use(l);
}

static void config_make(struct archive_life *l)
{
    bool slow = world_chance(&l->w, 50000); /* P-256 takes its time */
    const char *pems[LIFE_PAIRS] = {TEST_KEY_ED25519, slow ? TEST_KEY_P256 : TEST_KEY_ED25519_SECOND,
                                    TEST_KEY_ED25519_THIRD};
    struct el_private_key *parsed[EL_SIGN_KEYS_MAX];
    for (uint32_t i = 0; i < LIFE_PAIRS; i++) {
        size_t count = 0;
        int code = el_private_keys_parse(el_slice_str(pems[i]), parsed, &count, NULL);
        EL_ASSERT(code == 0);
        EL_ASSERT(count == 1);
        l->keys[i] = parsed[0];
    }
    archive_config_init(&l->cfg);
    l->key_end = world_chance(&l->w, 200000) ? 2 : 1;
    keys_use(l);
    l->cfg.bucket = &l->bucket->base;
    /* In some seeds no round comes by itself: who waits for the archive must not wait for it. */
    l->cfg.lag_ms = world_chance(&l->w, 200000) ? 3600000 : 100 + world_below(&l->w, 5000);
    l->cfg.segment_len = (4u << 10) << world_below(&l->w, 8);
    l->cfg.segment_ms = 1000 + world_below(&l->w, 60000);
    l->cfg.replaced_ms = world_below(&l->w, 10000);
    l->cfg.ages_ms = 1 + world_below(&l->w, 3000);
    l->cfg.orphan_ms = world_below(&l->w, 20000);
    l->cfg.sweep_ms = 1 + world_below(&l->w, 5000);
    l->cfg.sweep_names = 1 + world_below(&l->w, 60);
    l->cfg.silent_ms = world_below(&l->w, 10000);
    l->cfg.full_every = 1 + (uint32_t)world_below(&l->w, 64);
}

/* In some lives there is little memory to know what the archive has: then nothing is lost, and a later one goes on. */
static void memory_choose(struct archive_life *l)
{
    l->cfg.memory_max = UINT64_MAX;
    if (world_chance(&l->w, l->w.knobs.ppm[FAULT_MEMORY_FEW])) {
        l->cfg.memory_max = world_below(&l->w, MEMORY_FEW_MAX);
    }
}

/* Something happens to a machine that is down. */
static void between(struct archive_life *l)
{
    struct world *w = &l->w;
    if (world_chance(w, w->knobs.ppm[FAULT_KEYS_CHANGE])) {
        keys_rotate(l);
    }
    if (l->older == NULL && world_chance(w, w->knobs.ppm[FAULT_DISK_OLDER])) {
        arch_keep_disk(l);
    }
}

/* What may only happen at the end, for nothing comes after it. */
static void endings(struct archive_life *l)
{
    struct world *w = &l->w;
    if (world_chance(w, w->knobs.ppm[FAULT_DISK_COPIED])) {
        sim_disk_fault_count(w->disk, FAULT_DISK_COPIED);
        arch_two_brokers(l);
    } else if (l->bucket->state->object_count > 0 && world_chance(w, w->knobs.ppm[FAULT_DISK_LOST])) {
        sim_disk_fault_count(w->disk, FAULT_DISK_LOST);
        arch_restore(l);
    }
}

static void run_seed(const struct plan *plan, struct archive_life *l)
{
    struct world *w = &l->w;
    struct el_rng knobs;
    l->plan = *plan;
    world_init(w, plan->seed, (uint32_t)EL_MIN(plan->limits[LIMIT_SHARDS], WORLD_SHARDS_MAX), plan->verbose);
    w->trace->print = plan->trace;
    w->mode = plan->mode;
    w->jump_kinds = 2;
    w->upper = &arch_upper;
    w->upper_arg = l;
    el_rng_seed(&knobs, ~plan->seed);
    sim_knobs_draw(&w->knobs, &knobs, plan->faults_off);
    for (int i = 0; i < FAULT_COUNT; i++) {
        w->knobs.ppm[i] = sim_fault_applies((enum sim_fault)i, w->mode) ? w->knobs.ppm[i] : 0;
    }
    world_faults(w, false);
    l->bucket = &l->bucket_own;
    bucket_init(l->bucket, w);
    config_make(l);
    boot_init(&l->boot, w, NULL, &l->plan);
    l->client_count = 1 + (uint32_t)world_below(w, CLIENTS_MAX);
    l->trims = world_chance(w, 400000);
    l->deletes = world_chance(w, 400000);
    l->redacts = world_chance(w, 400000);
    for (uint32_t i = 0; i < l->client_count; i++) {
        l->clients[i].l = l;
    }
    uint64_t lives = EL_MIN(1 + world_below(w, 5), plan->limits[LIMIT_LIVES]);
    for (uint64_t i = 0; i < lives && w->violation[0] == 0; i++) {
        memory_choose(l);
        if (!boot_start(&l->boot)) {
            break;
        }
        live(l);
        between(l);
    }
    l->cfg.memory_max = UINT64_MAX;
    if (w->violation[0] == 0 && l->older != NULL && l->bucket->state->header.sequence > l->older_sequence + 1) {
        arch_older_disk(l);
    }
    if (w->violation[0] == 0 && boot_start(&l->boot)) {
        last_look(l);
    }
    if (w->violation[0] == 0) {
        endings(l);
    }
}

void archive_trial(const struct plan *plan, struct verdict *v)
{
    struct archive_life *l = calloc(1, sizeof *l);
    EL_ASSERT(l != NULL);
    memset(v, 0, sizeof *v);
    run_seed(plan, l);
    verdict_take(v, &l->w);
    v->batches = l->acks;
    v->crashes = l->boot.crashes;
    v->answers = l->bucket->roots;
    v->repeats = l->bucket->objects;
    v->lost = l->awaited_acks;
    v->lives = l->lives;
    v->steps_longest = l->steps_longest;
    v->topics = l->names;
    world_free(&l->w);
    bucket_free(&l->bucket_own);
    if (l->older != NULL) {
        sim_disk_free(l->older);
    }
    for (uint32_t i = 0; i < LIFE_PAIRS; i++) {
        el_private_key_free(l->keys[i]);
    }
    arch_life_free(l);
}
