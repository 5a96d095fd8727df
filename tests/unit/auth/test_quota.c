/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: the limit that counts is Kafka's; what is used of it is counted to the byte, over any time, by any number of
 * names in the same memory. Method: every entity on top of the other, in Kafka's order; a simulated clock.
 */
#include <auth/auth_record.h>
#include <auth/quota_budget.h>
#include <evlog/error.h>
#include <test.h>

#include <math.h>
#include <pthread.h>
#include <stdio.h>

#define S UINT64_C(1000000000)
#define MS UINT64_C(1000000)

static struct quota_table table;
static struct quota_budget budget;

static struct quota_entity entity_of(uint8_t user, const char *user_name, uint8_t client, const char *client_name)
{
    return (struct quota_entity){.user = user,
                                 .client_id = client,
                                 .user_name = el_slice_str(user == QUOTA_PART_NAMED ? user_name : ""),
                                 .client_name = el_slice_str(client == QUOTA_PART_NAMED ? client_name : "")};
}

static double found(enum quota_kind kind, const char *user, const char *client)
{
    struct quota_hit hit;
    struct quota_caller caller = {el_slice_str(user), el_slice_str(client)};
    return quota_find(&table, kind, &caller, &hit) ? hit.limit : 0;
}

TEST(quota, the_first_of_kafkas_order_counts)
{
    static const uint8_t order[][2] = {
        /* from the last to the first */
        {QUOTA_PART_NONE, QUOTA_PART_DEFAULT},  {QUOTA_PART_NONE, QUOTA_PART_NAMED},
        {QUOTA_PART_DEFAULT, QUOTA_PART_NONE},  {QUOTA_PART_DEFAULT, QUOTA_PART_DEFAULT},
        {QUOTA_PART_DEFAULT, QUOTA_PART_NAMED}, {QUOTA_PART_NAMED, QUOTA_PART_NONE},
        {QUOTA_PART_NAMED, QUOTA_PART_DEFAULT}, {QUOTA_PART_NAMED, QUOTA_PART_NAMED},
    };
    quota_init(&table, NULL);
    assert_true(found(QUOTA_PRODUCE, "alice", "app") == 0);
    for (int i = 0; i < 8; i++) {
        struct quota_entity entity = entity_of(order[i][0], "alice", order[i][1], "app");
        assert_int_equal(quota_put(&table, &entity, QUOTA_PRODUCE, i + 1), 0);
        assert_true(found(QUOTA_PRODUCE, "alice", "app") == i + 1);
        assert_true(found(QUOTA_CONSUME, "alice", "app") == 0); /* each kind by itself */
    }
    assert_true(found(QUOTA_PRODUCE, "alice", "other") == 7);
    assert_true(found(QUOTA_PRODUCE, "bob", "app") == 5);
    assert_true(found(QUOTA_PRODUCE, "bob", "other") == 4);
    assert_true(found(QUOTA_PRODUCE, "bob", "") == 4);
    struct quota_entity pair = entity_of(QUOTA_PART_NAMED, "alice", QUOTA_PART_NAMED, "app");
    assert_int_equal(quota_put(&table, &pair, QUOTA_CONSUME, 99), 0);
    assert_int_equal(quota_count(&table), 8);
    assert_int_equal(quota_limit_count(&table), 9);
    for (int i = 7; i >= 0; i--) {
        struct quota_entity entity = entity_of(order[i][0], "alice", order[i][1], "app");
        assert_int_equal(quota_put(&table, &entity, QUOTA_PRODUCE, 0), 0);
        assert_true(found(QUOTA_PRODUCE, "alice", "app") == i);
    }
    assert_int_equal(quota_count(&table), 1);
    assert_true(found(QUOTA_CONSUME, "alice", "app") == 99);
    assert_int_equal(quota_put(&table, &pair, QUOTA_CONSUME, 0), 0);
    assert_int_equal(quota_count(&table), 0);
    quota_destroy(&table);
}

TEST(quota, an_address_has_its_own_limit_or_the_default)
{
    quota_init(&table, NULL);
    struct quota_entity all = {.ip = QUOTA_PART_DEFAULT};
    struct quota_entity one = {.ip = QUOTA_PART_NAMED, .ip_name = el_slice_str("10.0.0.1")};
    assert_true(quota_find_ip(&table, el_slice_str("10.0.0.1")) == 0);
    assert_int_equal(quota_put(&table, &all, QUOTA_CONNECT, 5), 0);
    assert_int_equal(quota_put(&table, &one, QUOTA_CONNECT, 50), 0);
    assert_true(quota_find_ip(&table, el_slice_str("10.0.0.1")) == 50);
    assert_true(quota_find_ip(&table, el_slice_str("10.0.0.2")) == 5);
    assert_int_equal(quota_put(&table, &all, QUOTA_CONNECT, 0), 0);
    assert_true(quota_find_ip(&table, el_slice_str("10.0.0.2")) == 0);
    assert_true(quota_find_ip(&table, el_slice_str("10.0.0.1")) == 50);
    quota_destroy(&table);
}

TEST(quota, what_cannot_be_is_refused_with_a_reason)
{
    const char *why;
    struct quota_entity none = {0}, user = entity_of(QUOTA_PART_NAMED, "alice", QUOTA_PART_NONE, "");
    struct quota_entity ip = {.ip = QUOTA_PART_DEFAULT}, both = user;
    both.ip = QUOTA_PART_DEFAULT;
    struct quota_entity empty = entity_of(QUOTA_PART_NAMED, "", QUOTA_PART_NONE, "");
    struct quota_entity control = entity_of(QUOTA_PART_NAMED, "a\nb", QUOTA_PART_NONE, "");
    struct quota_entity odd = user;
    odd.client_id = 3;
    const struct quota_entity *bad[] = {&none, &both, &empty, &control, &odd};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(quota_entity_check(bad[i], &why), EVLOG_ERR_ARGUMENT);
        assert_non_null(why);
    }
    assert_int_equal(quota_entity_check(&user, &why), 0);
    assert_int_equal(quota_limit_check(&user, QUOTA_PRODUCE, 1024, &why), 0);
    assert_int_equal(quota_limit_check(&user, QUOTA_REQUEST, 0.5, &why), 0);
    assert_int_equal(quota_limit_check(&ip, QUOTA_CONNECT, 3, &why), 0);
    double values[] = {0, -1, NAN, INFINITY, 1.5, 1e16};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        assert_int_equal(quota_limit_check(&user, QUOTA_PRODUCE, values[i], &why), EVLOG_ERR_ARGUMENT);
        assert_non_null(why);
    }
    assert_int_equal(quota_limit_check(&user, QUOTA_CONNECT, 3, &why), EVLOG_ERR_ARGUMENT);
    assert_int_equal(quota_limit_check(&ip, QUOTA_PRODUCE, 3, &why), EVLOG_ERR_ARGUMENT);
    assert_int_equal(quota_limit_check(&user, quota_kind_find(el_slice_str("other")), 3, &why), EVLOG_ERR_ARGUMENT);
}

/* --- records ------------------------------------------------------------------------------------------------------ */

TEST(quota, a_record_says_what_was_set_and_hostile_bytes_nothing)
{
    static const struct quota_entity ip = {.ip = QUOTA_PART_DEFAULT};
    struct quota_entity pair = entity_of(QUOTA_PART_NAMED, "alice", QUOTA_PART_NAMED, "app");
    uint8_t key_bytes[AUTH_RECORD_KEY_MAX], value_bytes[AUTH_RECORD_VALUE_MAX];
    struct auth_record record;
    for (int i = 0; i < 2; i++) {
        struct el_writer key, value;
        el_writer_init(&key, key_bytes, sizeof key_bytes);
        el_writer_init(&value, value_bytes, sizeof value_bytes);
        auth_record_limit_key(&key, i == 0 ? &pair : &ip, i == 0 ? QUOTA_REQUEST : QUOTA_CONNECT);
        auth_record_limit_value(&value, i == 0 ? 12.5 : 7);
        struct el_slice k = el_slice_of(key_bytes, el_writer_len(&key));
        struct el_slice v = el_slice_of(value_bytes, el_writer_len(&value));
        assert_int_equal(auth_record_decode(k, v, &record), 0);
        assert_int_equal(record.kind, AUTH_RECORD_LIMIT);
        assert_int_equal(record.limit, i == 0 ? QUOTA_REQUEST : QUOTA_CONNECT);
        assert_true(record.value == (i == 0 ? 12.5 : 7));
        assert_true(i == 1 || el_slice_eq(record.entity.user_name, el_slice_str("alice")));
        assert_int_equal(auth_record_decode(k, (struct el_slice){0}, &record), 0);
        assert_true(record.gone);
        assert_true(record.value == 0);
        for (size_t len = 0; len < k.len; len++) {
            assert_int_not_equal(auth_record_decode(el_slice_of(k.data, len), v, &record), 0);
        }
        for (size_t len = 1; len < v.len; len++) {
            assert_int_not_equal(auth_record_decode(k, el_slice_of(v.data, len), &record), 0);
        }
        for (size_t pos = 0; pos < k.len; pos++) { /* any byte, any value: decoded or refused, never worse */
            uint8_t was = key_bytes[pos];
            for (int byte = 0; byte < 256; byte++) {
                key_bytes[pos] = (uint8_t)byte;
                (void)auth_record_decode(k, v, &record);
            }
            key_bytes[pos] = was;
        }
        memset(value_bytes + 1, 0xff, 8); /* not a number */
        assert_int_equal(auth_record_decode(k, v, &record), EVLOG_ERR_CORRUPT);
        value_bytes[0] = AUTH_RECORD_VERSION + 1;
        assert_int_equal(auth_record_decode(k, v, &record), EVLOG_ERR_FORMAT);
    }
}

/* --- budgets ------------------------------------------------------------------------------------------------------ */

static uint64_t charge(uint64_t id, uint64_t now_ns, double amount, double limit)
{
    struct quota_use use = {id, now_ns, quota_cost_ns(amount, limit), S};
    return quota_budget_charge(&budget, &use);
}

TEST(quota, a_burst_is_free_and_the_rest_is_waited_for)
{
    quota_budget_init(&budget);
    uint64_t now = 1000 * S;
    assert_int_equal(charge(7, now, 1000, 1000), 0); /* a second's worth at once */
    assert_int_equal(charge(7, now, 500, 1000), 500 * MS);
    assert_int_equal(charge(7, now, 0, 1000), 500 * MS); /* looking costs nothing */
    assert_int_equal(charge(7, now + 500 * MS, 0, 1000), 0);
    assert_int_equal(charge(7, now + 500 * MS, 1, 1000), MS);
    assert_int_equal(charge(8, now, 1000, 1000), 0); /* another one's is its own */
    assert_int_equal(charge(7, now + 100 * S, 1000, 1000), 0);
    assert_int_equal(charge(7, now + 100 * S, 1000, 1000), S); /* time that passed unused is no more than a burst */
}

/* Whatever the sizes are, who stays away as long as was said gets the rate, to the byte. */
TEST(quota, the_rate_holds_over_any_time)
{
    quota_budget_init(&budget);
    uint64_t start = 5 * S, now = start, seed = 1;
    double sent = 0;
    for (int i = 0; i < 20000; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        double amount = (double)(seed >> 50);
        sent += amount;
        now += charge(3, now, amount, 100000);
    }
    double allowed = ((double)(now - start) / (double)S + 1) * 100000;
    assert_true(fabs(sent - allowed) < 20000); /* the last one's size, at most */
}

TEST(quota, nobody_waits_for_ever)
{
    quota_budget_init(&budget);
    assert_true(charge(1, S, 1e15, 1) == QUOTA_WAIT_NS_MAX);
    assert_true(charge(1, S, 1e15, 1) == QUOTA_WAIT_NS_MAX);
    assert_int_equal(charge(1, S + QUOTA_WAIT_NS_MAX, 0, 1), 0);
}

TEST(quota, a_try_over_the_limit_uses_nothing)
{
    struct quota_use use = {9, 50 * S, quota_cost_ns(1, 5), S};
    quota_budget_init(&budget);
    for (int i = 0; i < 5; i++) {
        assert_true(quota_budget_try(&budget, &use));
    }
    for (int i = 0; i < 1000; i++) {
        assert_false(quota_budget_try(&budget, &use));
    }
    use.now_ns += 200 * MS;
    assert_true(quota_budget_try(&budget, &use));
    assert_false(quota_budget_try(&budget, &use));
    struct quota_use slow = {10, 50 * S, quota_cost_ns(1, 0.1), S}; /* one in ten seconds is more than a burst */
    assert_true(quota_budget_try(&budget, &slow));
    assert_false(quota_budget_try(&budget, &slow));
}

/* A million names that nobody has heard of take no memory, and free nobody in debt as long as there is a place. */
TEST(quota, names_without_debt_make_room_and_debts_stay)
{
    struct quota_hit hit = {.limit = 1000, .of_client_id = true};
    struct quota_caller debtor = {.client_id = el_slice_str("debtor")};
    memset(budget.secret, 0x5a, sizeof budget.secret);
    quota_budget_init(&budget);
    uint64_t own = quota_budget_id(&budget, QUOTA_PRODUCE, &hit, &debtor);
    assert_true(charge(own, S, 100000, 1000) == 99 * S);
    for (int i = 0; i < 1000000; i++) {
        char name[16];
        snprintf(name, sizeof name, "stranger%d", i);
        struct quota_caller caller = {.client_id = el_slice_str(name)};
        uint64_t id = quota_budget_id(&budget, QUOTA_PRODUCE, &hit, &caller);
        assert_int_not_equal(id, own);
        assert_int_equal(charge(id, S, 1, 1000), 0);
    }
    assert_true(charge(own, S, 0, 1000) == 99 * S);
    struct quota_caller same = {.user = el_slice_str("any"), .client_id = el_slice_str("debtor")};
    assert_true(quota_budget_id(&budget, QUOTA_PRODUCE, &hit, &same) == own); /* the user has no part in it */
    assert_true(quota_budget_id(&budget, QUOTA_CONSUME, &hit, &same) != own);
}

enum { THREADS = 4, CHARGES = 50000 };

static void *charge_many(void *arg)
{
    for (int i = 0; i < CHARGES; i++) {
        (void)charge(77, S, 1, 1000000);
    }
    return arg;
}

/* Shards charge the same budget at the same time: nothing is lost. */
TEST(quota, shards_share_a_budget_to_the_byte)
{
    pthread_t threads[THREADS];
    quota_budget_init(&budget);
    assert_int_equal(charge(77, S, 1000000, 1000000), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, charge_many, NULL), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(charge(77, S, 0, 1000000), (uint64_t)THREADS * CHARGES * 1000);
}
