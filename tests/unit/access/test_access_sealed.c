/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: users and rules lie sealed on the disk, whatever they were before, and no crash on the way there loses or
 * brings back one; without the key nobody starts as if there were none. Method: the node of node.h, with logs that an
 * evlogd from before there were keys has written, and power cuts at each call of the disk, one after the other.
 */
#include "node.h"

#include <core/alloc.h>

#define SEEDS 5u
#define PLAIN_CHANGES 4u

static void key_make(struct el_access_key *key, uint8_t byte)
{
    uint8_t secret[EL_AEAD_KEY_LEN];
    memset(secret, byte, sizeof secret);
    el_access_key_init(key, secret);
}

/* --- what was written before -------------------------------------------------------------------------------------- */

struct plain {
    struct topic_config config;
    struct topic_op create;
    struct append_op append;
    bool done;
    uint8_t bytes[16384];
};

static void on_done(struct store_op *base)
{
    struct plain *plain = base->arg;
    assert_int_equal(base->error, 0);
    plain->done = true;
}

static void topic_make(struct node *n, struct plain *plain)
{
    topic_config_init_kept(&plain->config, true);
    plain->create = (struct topic_op){.base = {.done = on_done, .arg = plain},
                                      .verb = TOPIC_CREATE,
                                      .name = el_slice_str(ACCESS_TOPIC),
                                      .partition_count = 1,
                                      .internal = true,
                                      .config = &plain->config};
    plain->done = false;
    store_topic_change(store_shard_at(n->w.store, 0), &plain->create);
    assert_true(wait_for(n, &plain->done));
}

static void batch_append(struct node *n, struct plain *plain, const struct access_record *records, uint32_t count)
{
    struct store_shard *shard = store_shard_at(n->w.store, 0);
    const struct topic *topic = store_topic_by_name(shard, el_slice_str(ACCESS_TOPIC));
    struct el_batch_builder builder;
    struct el_slice batch;
    assert_non_null(topic);
    el_batch_builder_init_fixed(&builder, plain->bytes, sizeof plain->bytes);
    for (uint32_t i = 0; i < count; i++) {
        struct el_record_body body = {.key = records[i].key, .value = records[i].value};
        assert_int_equal(el_batch_builder_add(&builder, 5, &body), 0);
    }
    assert_int_equal(el_batch_builder_finish(&builder, EL_CODEC_NONE, NULL, &batch), 0);
    plain->append = (struct append_op){.base = {.done = on_done, .arg = plain},
                                       .topic_id = topic->id,
                                       .batch = batch.data,
                                       .batch_len = (uint32_t)batch.len};
    assert_int_equal(el_batch_check(batch.data, batch.len, EL_BATCH_LEN_MAX, NULL, 0, &plain->append.info), 0);
    plain->done = false;
    store_append(shard, &plain->append);
    assert_true(wait_for(n, &plain->done));
}

/* A life of an evlogd that knows no keys: some things are made, changed and taken away. */
static void plain_life(struct node *n)
{
    static struct plain plain;
    struct el_error err = {0};
    n->w.upper = NULL;
    assert_int_equal(world_open(&n->w, &err), 0);
    topic_make(n, &plain);
    for (uint32_t i = 1; i <= PLAIN_CHANGES; i++) {
        uint32_t count = 0;
        for (uint32_t thing = 0; thing < THINGS; thing++) {
            if ((thing + i) % 3 != 0) {
                bool gone = (thing + i) % 4 == 0;
                n->now.version[thing] = gone ? 0 : thing % 2 == 0 ? VERSION_MIN + i : 1;
                record_make(n, count++, thing, n->now.version[thing]);
            }
        }
        batch_append(n, &plain, n->records, count);
    }
    assert_true(world_stop(&n->w));
    life_end(n);
    n->w.upper = &node_upper;
}

/* --- lives -------------------------------------------------------------------------------------------------------- */

/* returns true when it came to the end: settled, looked at, stopped */
static bool life(struct node *n, uint64_t crash_at)
{
    struct el_error err = {0};
    sim_disk_crash_at(n->w.disk, 0);
    assert_int_equal(world_open(&n->w, &err), 0);
    sim_disk_crash_at(n->w.disk, crash_at);
    bool on = await_known(n);
    if (on) {
        look_after_start(n);
        on = await_settled(n);
    }
    on = on && world_stop(&n->w);
    life_end(n);
    return on;
}

/* A life in which nothing is written again, and what is there can be changed. */
static void life_of_peace(struct node *n)
{
    struct el_error err = {0};
    sim_disk_crash_at(n->w.disk, 0);
    assert_int_equal(world_open(&n->w, &err), 0);
    assert_true(await_known(n));
    assert_int_equal(el_access_names_count(&n->access[0]->names), 0);
    look_after_start(n);
    assert_true(await_settled(n));
    assert_int_equal(n->access[0]->again_sum, 0);
    assert_true(work(n, 2));
    assert_true(world_stop(&n->w));
    life_end(n);
}

static void cut_at_each_call(uint64_t seed, bool rotates)
{
    static struct node n;
    bool whole = false;
    for (uint64_t call = 1; !whole; call++) {
        node_init(&n, seed, 3);
        plain_life(&n);
        if (rotates) {
            assert_true(life(&n, 0));
            key_make(&n.added, 7);
            n.adds = true;
        }
        whole = life(&n, call);
        while (!life(&n, 0)) {
        }
        n.adds = false;
        life_of_peace(&n);
        assert_int_equal(n.keys.keys.count, rotates ? 2 : 1);
        world_free(&n.w);
        assert_true(call < 1000);
    }
}

TEST(access_sealed, plain_records_are_sealed_whatever_call_the_power_is_cut_at)
{
    el_test_may_leak(true); /* what a machine has in memory when its power is cut is left behind */
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        cut_at_each_call(seed, false);
    }
    el_test_may_leak(false);
}

TEST(access_sealed, records_of_an_old_key_are_sealed_by_the_new_one_whatever_call_the_power_is_cut_at)
{
    el_test_may_leak(true);
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        cut_at_each_call(seed, true);
    }
    el_test_may_leak(false);
}

TEST(access_sealed, a_change_waits_until_what_was_there_before_is_sealed)
{
    static struct node n;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct el_error err = {0};
        node_init(&n, seed, 3);
        plain_life(&n);
        assert_int_equal(world_open(&n.w, &err), 0);
        assert_true(await_known(&n));
        look_after_start(&n);
        assert_int_equal(n.settled_count, 0);
        assert_true(work(&n, 1));
        assert_int_equal(n.settled_count, 1);
        assert_true(world_stop(&n.w));
        life_end(&n);
        life_of_peace(&n);
        world_free(&n.w);
    }
}

TEST(access_sealed, nothing_on_the_disk_names_anybody)
{
    static struct node n;
    static const char *const words[] = {"user-", "topic-", "User:alice"};
    struct el_error err = {0};
    uint8_t verifier[32];
    node_init(&n, 3, 3);
    assert_int_equal(world_open(&n.w, &err), 0);
    assert_true(await_known(&n) && work(&n, 20));
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        assert_null(sim_disk_holds(n.w.disk, words[i], strlen(words[i])));
    }
    for (uint32_t version = 1; version <= 20; version++) {
        memset(verifier, (int)((VERSION_MIN + version) % 251), sizeof verifier);
        assert_null(sim_disk_holds(n.w.disk, verifier, sizeof verifier));
    }
    assert_true(world_stop(&n.w));
    life_end(&n);
    world_free(&n.w);
}

/* --- without the key ---------------------------------------------------------------------------------------------- */

static void changes_are_refused(struct node *n, int error)
{
    change_begin(n);
    assert_true(wait_for(n, &n->answered));
    assert_int_equal(n->op.error, error);
    n->under_way = false;
}

static void begin(struct node *n)
{
    struct el_error err = {0};
    node_init(n, 5, 2);
    assert_int_equal(world_open(&n->w, &err), 0);
    assert_true(await_known(n) && work(n, 5));
    assert_true(world_stop(&n->w));
    life_end(n);
}

static uint32_t live_count(const struct state *state)
{
    uint32_t count = 0;
    for (uint32_t thing = 0; thing < THINGS; thing++) {
        count += state->version[thing] != 0;
    }
    return count;
}

TEST(access_sealed, without_the_key_nobody_is_known_and_nothing_changes)
{
    static struct node n;
    struct el_error err = {0};
    char id[EL_ACCESS_KEY_ID_TEXT], wanted[EL_ACCESS_KEY_ID_TEXT];
    struct state nobody = {{0}}, seen;
    begin(&n);
    el_access_key_id_text(wanted, n.keys.keys.keys[0].id);
    n.loses_keys = true;
    n.known_error = EVLOG_ERR_KEYS;
    assert_int_equal(world_open(&n.w, &err), 0);
    assert_true(await_known(&n));
    for (uint32_t shard = 0; shard < n.w.shard_count; shard++) {
        assert_true(access_failed(n.access[shard]));
        assert_int_equal(access_missing_key(n.access[shard], id), live_count(&n.now));
        assert_string_equal(id, wanted);
        look(&n, shard, &seen);
        assert_true(same(&seen, &nobody));
    }
    changes_are_refused(&n, EVLOG_ERR_STORAGE);
    assert_int_equal(n.settled_count, 0);
    assert_true(world_stop(&n.w));
    life_end(&n);
    n.loses_keys = false;
    n.known_error = 0;
    life_of_peace(&n); /* the file is the one that was */
    world_free(&n.w);
}

/* The order is given for good: it does nothing while all can be opened. */
TEST(access_sealed, forgetting_takes_everything_and_only_when_something_cannot_be_opened)
{
    static struct node n;
    begin(&n);
    n.forgets = true;
    life_of_peace(&n);
    assert_true(live_count(&n.now) > 0);
    n.loses_keys = true;
    memset(&n.now, 0, sizeof n.now);
    assert_true(life(&n, 0));
    n.loses_keys = false;
    life_of_peace(&n);
    assert_true(live_count(&n.now) > 0);
    life_of_peace(&n);
    world_free(&n.w);
}

/* Half of the records can be opened: a rule that denies may be among the others. */
TEST(access_sealed, forgetting_takes_what_could_be_opened_as_well)
{
    static struct node n;
    static struct plain plain;
    struct el_error err = {0};
    begin(&n);
    n.w.upper = NULL;
    assert_int_equal(world_open(&n.w, &err), 0);
    record_make(&n, 0, 1, 1); /* plain */
    batch_append(&n, &plain, n.records, 1);
    assert_true(world_stop(&n.w));
    life_end(&n);
    n.w.upper = &node_upper;
    n.forgets = n.loses_keys = true;
    memset(&n.now, 0, sizeof n.now);
    assert_true(life(&n, 0));
    n.loses_keys = false;
    life_of_peace(&n);
    world_free(&n.w);
}

/* --- faults ------------------------------------------------------------------------------------------------------- */

TEST(access_sealed, a_key_that_cannot_be_kept_seals_nothing_and_is_tried_again)
{
    static const enum sim_call calls[] = {SIM_PWRITEV, SIM_SYNC, SIM_SYNC_DIR, SIM_RENAME};
    static struct node n;
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        struct el_error err = {0};
        node_init(&n, 11 + i, 1);
        assert_int_equal(world_open(&n.w, &err), 0);
        sim_disk_fail_next(n.w.disk, calls[i], EVLOG_ERR_NO_SPACE);
        assert_true(await_known(&n) && await_settled(&n));
        assert_int_equal(n.access[0]->preparing, ACCESS_PREPARE_FAILED);
        assert_int_equal(n.keys.keys.count, 0);
        sim_disk_fail_next(n.w.disk, calls[i], EVLOG_ERR_NO_SPACE);
        changes_are_refused(&n, EVLOG_ERR_NO_SPACE);
        assert_true(work(&n, 3));
        assert_true(world_stop(&n.w));
        life_end(&n);
        life_of_peace(&n);
        world_free(&n.w);
    }
}

/* Records that are valid by their checksum, and are not what was sealed there. */
static void refuses(void (*spoil)(struct el_slice name, uint8_t *value), int error)
{
    static struct node n;
    static struct plain plain;
    struct el_error err = {0};
    uint8_t name[2][EL_ACCESS_SEALED_NAME_MAX], value[EL_ACCESS_SEALED_VALUE_LEN], nonce[EL_AEAD_NONCE_LEN] = {1};
    begin(&n);
    n.w.upper = NULL;
    assert_int_equal(world_open(&n.w, &err), 0);
    record_make(&n, 0, 0, VERSION_MIN);
    const struct el_access_key *key = &n.keys.keys.keys[0];
    struct el_slice sealed = el_slice_of(name[0], el_access_sealed_name_len(n.records[0].key.len));
    assert_int_equal(el_access_seal_name(key, n.records[0].key, name[0]), 0);
    assert_int_equal(el_access_seal_value(key, sealed, nonce, n.records[0].value, value), 0);
    spoil(sealed, value);
    batch_append(&n, &plain, &(struct access_record){sealed, el_slice_of(value, sizeof value)}, 1);
    assert_true(world_stop(&n.w));
    life_end(&n);
    n.w.upper = &node_upper;
    n.known_error = error;
    assert_int_equal(world_open(&n.w, &err), 0);
    int64_t damaged = metrics_get(n.w.metrics[0], METRIC_ACCESS_RECORDS_DAMAGED);
    assert_true(await_known(&n));
    assert_true(access_failed(n.access[0]));
    assert_int_equal(metrics_get(n.w.metrics[0], METRIC_ACCESS_RECORDS_DAMAGED), damaged + 1);
    changes_are_refused(&n, EVLOG_ERR_STORAGE);
    assert_true(world_stop(&n.w));
    life_end(&n);
    world_free(&n.w);
}

static void spoil_value(struct el_slice name, uint8_t *value)
{
    (void)name;
    value[100] ^= 1;
}

static void spoil_name(struct el_slice name, uint8_t *value)
{
    (void)value;
    ((uint8_t *)(uintptr_t)name.data)[40] ^= 1;
}

static void spoil_version(struct el_slice name, uint8_t *value)
{
    (void)name;
    value[0]++;
}

TEST(access_sealed, what_was_changed_is_refused_and_counted)
{
    refuses(spoil_value, EVLOG_ERR_CORRUPT);
    refuses(spoil_name, EVLOG_ERR_CORRUPT);
    refuses(spoil_version, EVLOG_ERR_FORMAT);
}
