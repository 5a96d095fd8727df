/* SPDX-License-Identifier: Apache-2.0 */
#include "node.h"

#include <core/alloc.h>
#include <stdio.h>

void node_init(struct node *n, uint64_t seed, uint32_t shards_max)
{
    memset(n, 0, sizeof *n);
    world_init(&n->w, seed, shards_max, false);
    n->w.upper = &node_upper;
    n->w.upper_arg = n;
}

/* --- the node ----------------------------------------------------------------------------------------------------- */

static void on_known(void *arg, int error)
{
    struct node *n = arg;
    assert_int_equal(error, n->known_error);
    n->known_count++;
}

static void on_settled(void *arg)
{
    struct node *n = arg;
    n->settled_count++;
}

static void keys_load(struct node *n)
{
    struct el_access_keys first = {.count = 1, .keys = {n->added}};
    sim_disk_shelter(n->w.disk, true);
    int code = access_keys_load(n->w.ios[0]->disk, &n->keys, NULL);
    sim_disk_shelter(n->w.disk, false);
    assert_int_equal(code, 0);
    n->keys.forget = n->forgets;
    n->keys.keys.count = n->loses_keys ? 0 : n->keys.keys.count;
    if (n->adds) {
        n->keys.unsaved = true;
        assert_int_equal(el_access_keys_merge(&n->keys.keys, &first), 0);
    }
}

static int up(struct world *w, struct el_error *err)
{
    struct node *n = w->upper_arg;
    n->known_count = n->settled_count = 0;
    n->stopping = false;
    keys_load(n);
    for (uint32_t i = 0; i < w->shard_count; i++) {
        int code = access_create(store_shard_at(w->store, i), n->access, w->shard_count, &n->keys, &n->access[i]);
        assert_int_equal(code, 0);
    }
    for (uint32_t i = 0; i < w->shard_count; i++) {
        store_shard_start(store_shard_at(w->store, i));
        access_start(n->access[i], on_known, on_settled, n);
    }
    (void)err;
    return 0;
}

static void on_stopped(void *arg)
{
    struct world *w = arg;
    w->stopped_count++;
}

static bool stop(struct world *w)
{
    struct node *n = w->upper_arg;
    bool idle = false;
    for (uint32_t i = 0; i < w->shard_count; i++) {
        access_stop(n->access[i]);
    }
    for (uint32_t step = 0; step < STEPS_MAX && !idle; step++) {
        idle = true;
        for (uint32_t i = 0; i < w->shard_count; i++) {
            idle = idle && access_idle(n->access[i]);
        }
        if (!idle && !world_step(w)) {
            return false;
        }
    }
    assert_true(idle);
    n->stopping = true;
    for (uint32_t i = 0; i < w->shard_count; i++) {
        store_shard_stop(store_shard_at(w->store, i), on_stopped, w);
    }
    return true;
}

static void down(struct world *w)
{
    struct node *n = w->upper_arg;
    for (uint32_t i = 0; i < w->shard_count && n->stopping && w->stopped_count == w->shard_count; i++) {
        access_destroy(n->access[i]);
    }
}

static uint64_t turn(struct world *w, uint32_t shard)
{
    el_alloc_seal(true);
    io_step(w->ios[shard], 0);
    uint64_t wish_ns = sim_disk_crashed(w->disk) ? 0 : store_shard_tick(store_shard_at(w->store, shard));
    el_alloc_seal(false);
    return wish_ns;
}

static void step(struct world *w)
{
    (void)w;
}

static uint64_t next(const struct world *w)
{
    (void)w;
    return UINT64_MAX;
}

const struct world_upper node_upper = {.up = up, .stop = stop, .down = down, .turn = turn, .step = step, .next = next};

/* --- changes ------------------------------------------------------------------------------------------------------ */

void thing_user(uint32_t thing, uint32_t version, char *name, struct auth_user *user)
{
    int len = snprintf(name, 16, "user-%u", thing);
    *user = (struct auth_user){.mechanism = EL_SCRAM_SHA256 + (int)(thing / 2 % 2),
                               .name = el_slice_of(name, (size_t)len),
                               .iterations = version,
                               .salt_len = AUTH_SALT_LEN_MIN};
    memset(user->stored_key, (int)(version % 251), auth_mechanism_key_len(user->mechanism));
}

void thing_rule(uint32_t thing, char *name, struct auth_rule *rule)
{
    int len = snprintf(name, 16, "topic-%u", thing);
    *rule = (struct auth_rule){.resource = EL_ACL_RESOURCE_TOPIC,
                               .pattern = thing % 4 == 1 ? EL_ACL_PATTERN_LITERAL : EL_ACL_PATTERN_PREFIXED,
                               .operation = EL_ACL_OP_READ,
                               .permission = EL_ACL_PERMISSION_ALLOW,
                               .name = el_slice_of(name, (size_t)len),
                               .principal = el_slice_str("User:alice"),
                               .host = el_slice_str("*")};
}

void record_make(struct node *n, uint32_t index, uint32_t thing, uint32_t version)
{
    struct el_writer key, value;
    char name[16];
    uint8_t *bytes = n->bytes[index];
    el_writer_init(&key, bytes, AUTH_RECORD_KEY_MAX);
    el_writer_init(&value, bytes + AUTH_RECORD_KEY_MAX, AUTH_RECORD_VALUE_MAX);
    if (thing % 2 == 0) {
        struct auth_user user;
        thing_user(thing, version == 0 ? VERSION_MIN : version, name, &user);
        auth_record_user_key(&key, &user);
        auth_record_user_value(&value, &user);
    } else {
        struct auth_rule rule;
        thing_rule(thing, name, &rule);
        auth_record_rule_key(&key, &rule);
        auth_record_rule_value(&value);
    }
    n->records[index].key = el_slice_of(bytes, el_writer_len(&key));
    n->records[index].value = version == 0 ? (struct el_slice){0}
                                           : el_slice_of(bytes + AUTH_RECORD_KEY_MAX, el_writer_len(&value));
}

static void on_change(struct access_op *op)
{
    struct node *n = op->arg;
    n->answered = true;
}

void change_begin(struct node *n)
{
    uint32_t count = 0;
    n->next = n->now;
    n->version++;
    for (uint32_t thing = 0; thing < THINGS; thing++) {
        if (world_chance(&n->w, 500000) || (thing == THINGS - 1 && count == 0)) {
            bool gone = world_chance(&n->w, 300000);
            n->next.version[thing] = gone ? 0 : thing % 2 == 0 ? VERSION_MIN + n->version : 1;
            record_make(n, count++, thing, n->next.version[thing]);
        }
    }
    n->op = (struct access_op){.records = n->records, .record_count = count, .done = on_change, .arg = n};
    n->answered = false;
    n->under_way = true;
    access_change(n->access[world_below(&n->w, n->w.shard_count)], &n->op);
}

/* --- looking ------------------------------------------------------------------------------------------------------ */

void look(const struct node *n, uint32_t shard, struct state *state)
{
    const struct auth *auth = access_auth(n->access[shard]);
    char name[16];
    for (uint32_t thing = 0; thing < THINGS; thing++) {
        if (thing % 2 == 0) {
            struct auth_user wanted;
            thing_user(thing, VERSION_MIN, name, &wanted);
            const struct auth_user *user = auth_user_find(auth, wanted.mechanism, wanted.name);
            state->version[thing] = user == NULL ? 0 : user->iterations;
            if (user != NULL) { /* what belongs together is of one change */
                thing_user(thing, user->iterations, name, &wanted);
                assert_memory_equal(user->stored_key, wanted.stored_key, sizeof wanted.stored_key);
            }
        } else {
            struct auth_rule rule;
            thing_rule(thing, name, &rule);
            state->version[thing] = auth_rule_has(auth, &rule);
        }
    }
}

bool same(const struct state *a, const struct state *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

void look_after_start(struct node *n)
{
    struct state seen, other;
    look(n, 0, &seen);
    for (uint32_t i = 1; i < n->w.shard_count; i++) {
        look(n, i, &other);
        assert_true(same(&seen, &other));
    }
    bool old = same(&seen, &n->now), new = n->under_way &&same(&seen, &n->next);
    assert_true(old || new);
    n->kept_count += n->under_way && new && !old;
    n->lost_count += n->under_way && old && !new;
    n->now = seen;
    n->under_way = false;
}

bool wait_for(struct node *n, const bool *flag)
{
    for (uint32_t i = 0; i < STEPS_MAX && !*flag; i++) {
        if (!world_step(&n->w)) {
            return false;
        }
    }
    assert_true(*flag);
    return true;
}

bool await_known(struct node *n)
{
    for (uint32_t i = 0; i < STEPS_MAX && n->known_count < n->w.shard_count; i++) {
        if (!world_step(&n->w)) {
            return false;
        }
    }
    assert_int_equal(n->known_count, n->w.shard_count);
    return true;
}

bool work(struct node *n, uint32_t changes)
{
    for (uint32_t i = 0; i < changes; i++) {
        change_begin(n);
        if (!wait_for(n, &n->answered)) {
            return false;
        }
        assert_int_equal(n->op.error, 0);
        n->now = n->next;
        n->under_way = false;
        n->answered_count++;
        for (uint32_t shard = 0; shard < n->w.shard_count; shard++) {
            struct state seen;
            look(n, shard, &seen);
            assert_true(same(&seen, &n->now));
        }
    }
    return true;
}

bool await_settled(struct node *n)
{
    for (uint32_t i = 0; i < STEPS_MAX && n->settled_count == 0; i++) {
        if (!world_step(&n->w)) {
            return false;
        }
    }
    assert_int_equal(n->settled_count, 1);
    return true;
}

void life_end(struct node *n)
{
    assert_string_equal(n->w.violation, "");
    if (n->w.store != NULL) {
        world_abandon(&n->w);
        sim_disk_power_cycle(n->w.disk);
    } else {
        sim_disk_process_exit(n->w.disk);
    }
}
