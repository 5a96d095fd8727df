/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a change of users and rules that was answered holds on every shard, and after every crash; one that was not is
 * there whole or not at all. Method: a node of one to three shards on the simulated machine, several lives for each
 * seed, power cuts at random calls of the disk, and a model that knows what was answered.
 */
#include "../../sim/world.h"

#include <access/access.h>
#include <access/access_state.h>
#include <core/alloc.h>
#include <stdio.h>
#include <test.h>

#define SEEDS 200u
#define LIVES 6u
#define CHANGES 12u
#define CALLS_MAX 60u /* of the disk, before the power is cut */
#define STEPS_MAX 200000u
#define THINGS 10u /* users and rules; even ones are users */
#define VERSION_MIN EL_SCRAM_ITERATIONS_MIN

/* What there is: of a user its iterations, of a rule 1; 0: it is not there. */
struct state {
    uint32_t version[THINGS];
};

struct node {
    struct world w;
    struct access *access[WORLD_SHARDS_MAX];
    uint32_t known_count;
    bool stopping;
    struct state now;  /* what was answered, or seen after a crash */
    struct state next; /* with the change under way */
    bool under_way;
    uint32_t version; /* of the last change */
    /* the change under way */
    struct access_op op;
    struct access_record records[THINGS];
    uint8_t bytes[THINGS][AUTH_RECORD_KEY_MAX + AUTH_RECORD_VALUE_MAX];
    bool answered;
    /* over all lives */
    uint32_t cut_count, kept_count, lost_count, answered_count;
};

/* --- the node ----------------------------------------------------------------------------------------------------- */

static void on_known(void *arg, int error)
{
    struct node *n = arg;
    assert_int_equal(error, 0);
    n->known_count++;
}

static int up(struct world *w, struct el_error *err)
{
    struct node *n = w->upper_arg;
    n->known_count = 0;
    n->stopping = false;
    for (uint32_t i = 0; i < w->shard_count; i++) {
        int code = access_create(store_shard_at(w->store, i), n->access, w->shard_count, &n->access[i]);
        assert_int_equal(code, 0);
    }
    for (uint32_t i = 0; i < w->shard_count; i++) {
        store_shard_start(store_shard_at(w->store, i));
        access_start(n->access[i], on_known, n);
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

static const struct world_upper upper =
    {.up = up, .stop = stop, .down = down, .turn = turn, .step = step, .next = next};

/* --- changes ------------------------------------------------------------------------------------------------------ */

static void thing_user(uint32_t thing, uint32_t version, char *name, struct auth_user *user)
{
    int len = snprintf(name, 16, "user-%u", thing);
    *user = (struct auth_user){.mechanism = EL_SCRAM_SHA256 + (int)(thing / 2 % 2),
                               .name = el_slice_of(name, (size_t)len),
                               .iterations = version,
                               .salt_len = AUTH_SALT_LEN_MIN};
    memset(user->stored_key, (int)(version % 251), auth_mechanism_key_len(user->mechanism));
}

static void thing_rule(uint32_t thing, char *name, struct auth_rule *rule)
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

static void record_make(struct node *n, uint32_t index, uint32_t thing, uint32_t version)
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

/* Several things at once, some of them taken away, asked of any shard. */
static void change_begin(struct node *n)
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

static void look(const struct node *n, uint32_t shard, struct state *state)
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

static bool same(const struct state *a, const struct state *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* The node has begun: every shard has the same, which is what was answered, with or without what was not. */
static void look_after_start(struct node *n)
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

/* returns false when the power was cut */
static bool wait_for(struct node *n, const bool *flag)
{
    for (uint32_t i = 0; i < STEPS_MAX && !*flag; i++) {
        if (!world_step(&n->w)) {
            return false;
        }
    }
    assert_true(*flag);
    return true;
}

static bool await_known(struct node *n)
{
    for (uint32_t i = 0; i < STEPS_MAX && n->known_count < n->w.shard_count; i++) {
        if (!world_step(&n->w)) {
            return false;
        }
    }
    assert_int_equal(n->known_count, n->w.shard_count);
    return true;
}

/* Changes one after the other, each of which holds on every shard when it is answered. */
static bool work(struct node *n)
{
    for (uint32_t i = 0; i < CHANGES; i++) {
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

static void one_life(struct node *n, bool cut)
{
    struct el_error err = {0};
    sim_disk_crash_at(n->w.disk, 0);
    assert_int_equal(world_open(&n->w, &err), 0);
    sim_disk_crash_at(n->w.disk, cut ? 1 + world_below(&n->w, CALLS_MAX) : 0);
    bool on = await_known(n);
    if (on) {
        look_after_start(n);
        on = work(n);
    }
    if (on && world_chance(&n->w, 500000)) {
        on = world_stop(&n->w);
    }
    assert_string_equal(n->w.violation, "");
    n->cut_count += !on;
    if (n->w.store != NULL) {
        world_abandon(&n->w);
        sim_disk_power_cycle(n->w.disk);
    } else {
        sim_disk_process_exit(n->w.disk);
    }
}

TEST(access, changes_survive_every_crash_whole_or_not_at_all)
{
    static struct node n;
    uint32_t cut_count = 0, kept_count = 0, lost_count = 0, answered_count = 0;
    el_test_may_leak(true); /* what a machine has in memory when its power is cut is left behind */
    for (uint32_t seed = 1; seed <= SEEDS; seed++) {
        memset(&n, 0, sizeof n);
        world_init(&n.w, seed, 3, false);
        n.w.upper = &upper;
        n.w.upper_arg = &n;
        for (uint32_t life = 0; life < LIVES; life++) {
            one_life(&n, life + 1 < LIVES);
        }
        cut_count += n.cut_count;
        kept_count += n.kept_count;
        lost_count += n.lost_count;
        answered_count += n.answered_count;
        world_free(&n.w);
    }
    el_test_may_leak(false);
    /* All that can happen has happened. */
    assert_true(cut_count > SEEDS && answered_count > SEEDS * CHANGES);
    assert_true(kept_count > SEEDS / 4 && lost_count > SEEDS / 4);
}
