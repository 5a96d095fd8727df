/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: members of a work group come, stay and go as KIP-932 has it, and every partition is worked on by somebody,
 * evenly and with little movement. Method: heartbeats on a clock that the test moves; a random walk of members and
 * topics whose division is checked after each step.
 */
#include "desk.h"

#include <core/rng.h>
#include <stdio.h>
#include <stdlib.h>

static struct desk k;

static void begin(void)
{
    desk_begin(&k);
    fake_topic(&k.store, "a", 4);
    fake_topic(&k.store, "b", 1);
}

/* --- refusals ----------------------------------------------------------------------------------------------------- */

TEST(control_member, heartbeats_that_contradict_themselves_are_refused)
{
    char id[CONTROL_MEMBER_ID_LEN_MAX + 2];
    begin();
    memset(id, 'm', sizeof id - 1);
    id[sizeof id - 1] = 0;
    struct worker w = worker_of("", "a"), silent = worker_of("s", NULL), odd = worker_of("o", "a");
    assert_int_equal(worker_join(&w, "g"), EVLOG_ERR_INVALID_REQUEST);
    w.id = id;
    assert_int_equal(worker_join(&w, "g"), EVLOG_ERR_INVALID_REQUEST);
    assert_int_equal(worker_join(&silent, "g"), EVLOG_ERR_INVALID_REQUEST);
    assert_non_null(strstr(silent.text, "names the topics"));
    odd.epoch = -2;
    assert_int_equal(worker_beat(&odd, "g"), EVLOG_ERR_INVALID_REQUEST);
    assert_string_equal(desk_list(), "");
    id[CONTROL_MEMBER_ID_LEN_MAX] = 0;
    assert_int_equal(worker_join(&w, "g"), 0);
    desk_end(&k);
}

TEST(control_member, too_many_topics_are_refused)
{
    static struct el_slice names[CONTROL_TOPICS_MAX + 1];
    begin();
    for (uint32_t i = 0; i <= CONTROL_TOPICS_MAX; i++) {
        names[i] = el_slice_str("a");
    }
    struct share_heartbeat_op op = {
        .base = {.group_id = el_slice_str("g"), .done = lease_op_release},
        .member_id = el_slice_str("w"),
        .topics = names,
        .topic_count = CONTROL_TOPICS_MAX + 1,
    };
    leases_heartbeat(k.leases[0], &op);
    fake_store_run(&k.store);
    assert_int_equal(op.base.error, EVLOG_ERR_INVALID_REQUEST);
    op.topic_count--;
    leases_heartbeat(k.leases[0], &op);
    fake_store_run(&k.store);
    assert_int_equal(op.base.error, 0);
    assert_string_equal(desk_describe("g"), "Stable 1 w@1/1"); /* one topic, named a thousand times */
    desk_end(&k);
}

TEST(control_member, epochs_that_nobody_was_told_are_fenced)
{
    begin();
    struct worker w = worker_of("w", "a"), other = worker_of("o", "a");
    assert_int_equal(worker_join(&w, "g"), 0);
    assert_int_equal(w.epoch, 1);
    assert_int_equal(worker_join(&other, "g"), 0);
    assert_int_equal(worker_beat(&w, "g"), 0);
    assert_int_equal(w.epoch, 2);
    w.epoch = 3;
    assert_int_equal(worker_beat(&w, "g"), EVLOG_ERR_MEMBER_EPOCH);
    assert_int_equal(w.epoch, 3);
    w.epoch = 1; /* the last answer was lost: it is said again */
    assert_int_equal(worker_beat(&w, "g"), 0);
    assert_true(w.assigned);
    assert_int_equal(w.epoch, 2);
    struct worker third = worker_of("t", "a");
    assert_int_equal(worker_join(&third, "g"), 0);
    assert_int_equal(worker_beat(&w, "g"), 0);
    assert_int_equal(w.epoch, 3);
    w.epoch = 1; /* two before */
    assert_int_equal(worker_beat(&w, "g"), EVLOG_ERR_MEMBER_EPOCH);
    assert_int_equal(worker_join(&w, "g"), 0);
    assert_true(w.assigned);
    struct worker stranger = worker_of("x", "a");
    stranger.epoch = 3;
    assert_int_equal(worker_beat(&stranger, "g"), EVLOG_ERR_UNKNOWN_MEMBER);
    stranger.epoch = -1;
    assert_int_equal(worker_beat(&stranger, "g"), EVLOG_ERR_UNKNOWN_MEMBER);
    desk_end(&k);
}

TEST(control_member, a_full_group_takes_those_it_has)
{
    begin();
    k.leases[0]->cfg.members_max = 1;
    struct worker w = worker_of("w", "a"), other = worker_of("o", "a");
    assert_int_equal(worker_join(&w, "g"), 0);
    assert_int_equal(worker_join(&other, "g"), EVLOG_ERR_GROUP_FULL);
    assert_non_null(strstr(other.text, "group.share.max.size"));
    assert_int_equal(worker_join(&w, "g"), 0);
    w.epoch = -1;
    assert_int_equal(worker_beat(&w, "g"), 0);
    assert_int_equal(worker_join(&other, "g"), 0);
    assert_int_equal(fake_store_metric(&k.store, METRIC_REFUSED_WORK_GROUP_SIZE), 1);
    assert_int_equal(fake_store_metric(&k.store, METRIC_WORK_GROUP_MEMBERS), 1);
    desk_end(&k);
}

/* --- coming, staying, going --------------------------------------------------------------------------------------- */

TEST(control_member, one_alone_gets_all_and_is_told_once)
{
    begin();
    struct worker w = worker_of("w", "a");
    w.topics[1] = "b";
    assert_int_equal(worker_join(&w, "g"), 0);
    assert_true(w.assigned);
    assert_string_equal(w.places, "a:0,1,2,3 b:0");
    assert_int_equal(w.op.heartbeat_ms, 5000);
    w.topics[0] = NULL;
    assert_int_equal(worker_beat(&w, "g"), 0);
    assert_false(w.assigned);
    assert_string_equal(desk_describe("g"), "Stable 1 w@1/2");
    desk_end(&k);
}

TEST(control_member, a_silent_member_is_removed_and_its_partitions_go_on)
{
    begin();
    struct worker w = worker_of("w", "a"), other = worker_of("o", "a");
    assert_int_equal(desk_set("g", "share.session.timeout.ms=1000 share.heartbeat.interval.ms=300"), 0);
    assert_int_equal(worker_join(&w, "g"), 0);
    assert_int_equal(w.op.heartbeat_ms, 300);
    assert_int_equal(worker_join(&other, "g"), 0);
    assert_int_equal(worker_load(&other), 2);
    for (int i = 0; i < 5; i++) {
        fake_store_ms(&k.store, 300);
        assert_int_equal(worker_beat(&other, "g"), 0);
    }
    assert_int_equal(worker_load(&other), 4);
    assert_int_equal(worker_beat(&w, "g"), EVLOG_ERR_UNKNOWN_MEMBER);
    assert_int_equal(fake_store_metric(&k.store, METRIC_WORK_GROUP_MEMBERS_EXPIRED), 1);
    fake_store_ms(&k.store, 1000);
    assert_string_equal(desk_list(), "g:Empty");
    desk_end(&k);
}

TEST(control_member, after_a_restart_members_join_again)
{
    begin();
    struct worker w = worker_of("w", "a");
    assert_int_equal(worker_join(&w, "g"), 0);
    desk_restart(&k);
    assert_string_equal(desk_list(), "g:Empty");
    assert_int_equal(worker_beat(&w, "g"), EVLOG_ERR_UNKNOWN_MEMBER);
    assert_int_equal(worker_join(&w, "g"), 0);
    assert_int_equal(worker_load(&w), 4);
    desk_end(&k);
}

TEST(control_member, a_new_subscription_is_divided_at_once)
{
    begin();
    struct worker w = worker_of("w", "a");
    assert_int_equal(worker_join(&w, "g"), 0);
    w.topics[0] = "b";
    assert_int_equal(worker_beat(&w, "g"), 0);
    assert_string_equal(w.places, "b:0");
    assert_int_equal(w.epoch, 2);
    assert_int_equal(worker_beat(&w, "g"), 0); /* the same again */
    assert_int_equal(w.epoch, 2);
    w.topics[1] = "a";
    assert_int_equal(worker_beat(&w, "g"), 0);
    assert_int_equal(worker_load(&w), 5);
    desk_end(&k);
}

/* --- topics ------------------------------------------------------------------------------------------------------- */

TEST(control_member, topics_that_come_grow_go_and_come_again_are_heard_of)
{
    begin();
    struct worker w = worker_of("w", "later");
    assert_int_equal(worker_join(&w, "g"), 0);
    assert_true(w.assigned);
    assert_string_equal(w.places, "");
    struct topic *topic = fake_topic(&k.store, "later", 2);
    assert_int_equal(worker_beat(&w, "g"), 0);
    assert_string_equal(w.places, "later:0,1");
    fake_topic_grow(topic, 3);
    assert_int_equal(worker_beat(&w, "g"), 0);
    assert_string_equal(w.places, "later:0,1,2");
    fake_topic_delete(&k.store, "later");
    assert_int_equal(worker_beat(&w, "g"), 0);
    assert_string_equal(w.places, "");
    fake_topic(&k.store, "later", 1);
    assert_int_equal(worker_beat(&w, "g"), 0);
    assert_string_equal(w.places, "later:0");
    assert_int_equal(w.epoch, 5);
    desk_end(&k);
}

TEST(control_member, evlogs_own_topics_are_nobodys_work)
{
    begin();
    struct worker w = worker_of("w", LEASES_TOPIC);
    char name[EL_TOPIC_NAME_MAX + 2];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = 0;
    w.topics[1] = "";
    w.topics[2] = name;
    assert_int_equal(worker_join(&w, "g"), 0);
    assert_string_equal(w.places, "");
    desk_end(&k);
}

/* --- who gets what ------------------------------------------------------------------------------------------------ */

TEST(control_member, more_members_than_partitions_share_evenly)
{
    struct worker w[8];
    uint32_t of[4] = {0};
    begin();
    for (int i = 0; i < 8; i++) {
        char *id = malloc(8);
        snprintf(id, 8, "w%d", i);
        w[i] = worker_of(id, "a");
        assert_int_equal(worker_join(&w[i], "g"), 0);
    }
    for (int i = 0; i < 8; i++) {
        assert_int_equal(worker_beat(&w[i], "g"), 0);
        assert_int_equal(worker_load(&w[i]), 1);
        of[w[i].places[2] - '0']++;
        free((void *)(uintptr_t)w[i].id);
    }
    for (int p = 0; p < 4; p++) {
        assert_int_equal(of[p], 2);
    }
    desk_end(&k);
}

TEST(control_member, many_small_topics_are_spread_over_those_who_come_later)
{
    begin();
    struct worker w = worker_of("w", "a"), other = worker_of("o", "a");
    for (int i = 0; i < 6; i++) {
        static char names[6][8];
        snprintf(names[i], sizeof names[i], "t%d", i);
        fake_topic(&k.store, names[i], 1);
        w.topics[i] = other.topics[i] = names[i];
    }
    assert_int_equal(worker_join(&w, "g"), 0);
    assert_int_equal(worker_load(&w), 6);
    assert_int_equal(worker_join(&other, "g"), 0);
    assert_int_equal(worker_beat(&w, "g"), 0);
    assert_string_equal(w.places, "t0:0 t1:0 t2:0");
    assert_string_equal(other.places, "t3:0 t4:0 t5:0");
    desk_end(&k);
}

#define WALKERS 6
#define TOPICS 5

/* Does places say that this worker has the partition? */
static bool works_on(const struct worker *w, const char *topic, int32_t partition)
{
    char copy[256], *save = NULL;
    size_t len = strlen(topic);
    snprintf(copy, sizeof copy, "%s", w->places);
    for (char *word = strtok_r(copy, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save)) {
        if (strncmp(word, topic, len) != 0 || word[len] != ':') {
            continue;
        }
        char *save_number = NULL;
        for (char *n = strtok_r(word + len + 1, ",", &save_number); n != NULL; n = strtok_r(NULL, ",", &save_number)) {
            if (atoi(n) == partition) {
                return true;
            }
        }
    }
    return false;
}

static bool subscribes(const struct worker *w, const char *topic)
{
    for (int i = 0; w->topics[i] != NULL; i++) {
        if (strcmp(w->topics[i], topic) == 0) {
            return true;
        }
    }
    return false;
}

/* All have heard of the last division: each partition is somebody's who subscribes to it, nobody has what he does not
 * subscribe to, and with one subscription for all no load differs by more than one. */
static void check_division(const struct worker *w, const bool *in, bool same)
{
    uint32_t least = UINT32_MAX, most = 0, total = 0, partitions = 0;
    for (uint32_t t = 0; t < k.store.topic_count; t++) {
        const struct topic *topic = &k.store.topics[t];
        for (int32_t p = 0; p < topic->partition_count && topic->name[0] != 0 && !topic->internal; p++) {
            uint32_t users = 0, holders = 0;
            for (int i = 0; i < WALKERS; i++) {
                users += in[i] && subscribes(&w[i], topic->name) ? 1 : 0;
                bool holds = in[i] && works_on(&w[i], topic->name, p);
                assert_true(!holds || subscribes(&w[i], topic->name));
                holders += holds ? 1 : 0;
            }
            assert_int_equal(holders > 0, users > 0);
            total += holders;
            partitions += users > 0 ? 1 : 0;
        }
    }
    for (int i = 0; i < WALKERS; i++) {
        if (in[i]) {
            least = EL_MIN(least, worker_load(&w[i]));
            most = EL_MAX(most, worker_load(&w[i]));
            assert_true(worker_load(&w[i]) > 0 || partitions == 0 || !same);
        }
    }
    uint32_t sum = 0;
    for (int i = 0; i < WALKERS; i++) {
        sum += in[i] ? worker_load(&w[i]) : 0;
    }
    assert_int_equal(sum, total); /* nobody has what is not there */
    if (same && least != UINT32_MAX) {
        assert_true(most - least <= 1);
    }
}

static void walk(uint64_t seed, bool same)
{
    static const char *const ids[WALKERS] = {"w0", "w1", "w2", "w3", "w4", "w5"};
    static const char *const names[TOPICS] = {"p", "q", "r", "s", "t"};
    struct worker w[WALKERS];
    bool in[WALKERS] = {false};
    struct el_rng rng;
    el_rng_seed(&rng, seed);
    desk_begin(&k);
    struct topic *first = fake_topic(&k.store, "p", 1);
    fake_topic(&k.store, "q", 3);
    fake_topic(&k.store, "r", 7);
    for (int i = 0; i < WALKERS; i++) {
        w[i] = worker_of(ids[i], NULL);
        for (int t = 0, n = 0; t < TOPICS; t++) {
            if (same || n == 0 || el_rng_below(&rng, 2) == 0) {
                w[i].topics[n++] = names[t];
            }
        }
    }
    for (int step = 0; step < 60; step++) {
        uint64_t i = el_rng_below(&rng, WALKERS);
        switch (el_rng_below(&rng, 8)) {
        case 0:
            fake_topic_grow(first, (int32_t)EL_MIN(first->partition_count + 1, 9));
            break;
        case 1:
            if (store_topic_by_name(NULL, el_slice_str("s")) == NULL && k.store.topic_count < FAKE_TOPICS_MAX - 1) {
                fake_topic(&k.store, "s", 2);
            } else {
                fake_topic_delete(&k.store, "s");
            }
            break;
        default:
            w[i].epoch = in[i] ? -1 : 0;
            assert_int_equal(worker_beat(&w[i], "g"), 0);
            in[i] = !in[i];
            w[i].places[0] = in[i] ? w[i].places[0] : 0;
        }
        for (int round = 0; round < 2; round++) {
            for (int n = 0; n < WALKERS; n++) {
                assert_int_equal(in[n] ? worker_beat(&w[n], "g") : 0, 0);
            }
        }
        check_division(w, in, same);
    }
    desk_end(&k);
}

TEST(control_member, every_partition_has_somebody_whatever_comes_and_goes)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        walk(seed, false);
        walk(seed, true);
    }
}

TEST(control_member, little_moves_when_one_comes)
{
    begin();
    fake_topic(&k.store, "wide", 60);
    struct worker w = worker_of("w", "wide"), other = worker_of("o", "wide"), third = worker_of("t", "wide");
    assert_int_equal(worker_join(&w, "g"), 0);
    assert_int_equal(worker_join(&other, "g"), 0);
    assert_int_equal(worker_beat(&w, "g"), 0);
    struct worker before = w;
    assert_int_equal(worker_join(&third, "g"), 0);
    assert_int_equal(worker_beat(&w, "g"), 0);
    assert_int_equal(worker_load(&w), 20);
    assert_int_equal(worker_load(&third), 20);
    uint32_t kept = 0;
    for (int32_t p = 0; p < 60; p++) {
        kept += works_on(&w, "wide", p) && works_on(&before, "wide", p) ? 1 : 0;
    }
    assert_int_equal(kept, 20);
    desk_end(&k);
}

/* --- memory ------------------------------------------------------------------------------------------------------- */

TEST(control_member, without_memory_the_old_division_stays_and_the_next_heartbeat_makes_it_good)
{
    begin();
    struct worker w = worker_of("w", "a"), other = worker_of("o", "a");
    assert_int_equal(worker_join(&w, "g"), 0);
    assert_int_equal(worker_join(&other, "g"), 0);
    assert_int_equal(worker_beat(&w, "g"), 0);
    uint64_t memory_max = k.leases[0]->cfg.memory_max;
    k.leases[0]->cfg.memory_max = 0;
    struct worker third = worker_of("t", "a");
    assert_int_equal(worker_join(&third, "g"), EVLOG_ERR_NO_MEMORY);
    assert_string_equal(desk_describe("g"), "Stable 2 w@2/1 o@2/1");
    other.epoch = -1;
    assert_int_equal(worker_beat(&other, "g"), 0);
    assert_int_equal(worker_load(&w), 2);
    w.topics[0] = NULL;
    assert_int_equal(worker_beat(&w, "g"), 0);
    assert_false(w.assigned);
    k.leases[0]->cfg.memory_max = memory_max;
    assert_int_equal(worker_beat(&w, "g"), 0);
    assert_true(w.assigned);
    assert_int_equal(worker_load(&w), 4);
    assert_int_equal(fake_store_metric(&k.store, METRIC_REFUSED_WORK_GROUP_MEMORY), 1);
    desk_end(&k);
}
