/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a replay of an archive alone tells every event of the topic in the order of append times, counts what is
 * missing, and refuses what the archive cannot tell. Method: archives that a builder makes in a directory.
 */
#include "archive_builder.h"
#include "test.h"

#include <core/sign.h>
#include <evlog/replay.h>
#include <stdio.h>
#include <store/dir_store.h>
#include <string.h>

struct world {
    struct object_store *store;
    struct archive_builder *b;
    char url[600];
    struct evlog_replay_options options;
    struct evlog_replay_summary summary;
    struct evlog_failure failure;
    uint32_t told;
    int64_t last_ns;
};

static struct el_private_key *key_of(size_t i)
{
    static struct el_private_key *keys[2];
    if (keys[i] == NULL) {
        assert_int_equal(el_private_key_make(EL_SIGN_ECDSA_P256, &keys[i], NULL), 0);
    }
    return keys[i];
}

static int on_event(void *arg, const struct evlog_replay_event *told)
{
    struct world *w = arg;
    const struct evlog_event *event = told->event;
    char value[64];
    snprintf(value, sizeof value, "a/%d/%lld", event->partition, (long long)event->offset);
    assert_int_equal(event->value.len, strlen(value));
    assert_memory_equal(event->value.data, value, event->value.len);
    assert_true(event->append_time_ns >= w->last_ns);
    w->last_ns = event->append_time_ns;
    w->told++;
    return 0;
}

/* "a" with two partitions, whose batches of two events come in turn. */
static void world_open(struct world *w)
{
    struct el_private_key *key = key_of(0);
    struct el_error err = {0};
    *w = (struct world){0};
    snprintf(w->url, sizeof w->url, "file://%s", el_test_dir());
    assert_int_equal(dir_store_open(w->url + 7, true, w->url, &w->store, &err), 0);
    w->b = archive_builder_open(w->store, &(struct archive_build){.seed = 5, .keys = &key, .key_count = 1});
    archive_builder_topic(w->b, "a", 2);
    for (int i = 0; i < 4; i++) {
        archive_builder_append(w->b, "a", 0, 1);
        archive_builder_append(w->b, "a", 1, 1);
    }
    archive_builder_round(w->b);
    archive_builder_segment(w->b, "a", 0);
    archive_builder_round(w->b);
    w->options = (struct evlog_replay_options)EVLOG_REPLAY_OPTIONS_INIT;
    w->options.topic = "a";
    w->options.archive_url = w->url;
    w->options.archive_only = true;
    w->options.on_event = on_event;
    w->options.arg = w;
    w->summary = (struct evlog_replay_summary)EVLOG_REPLAY_SUMMARY_INIT;
    w->failure = (struct evlog_failure)EVLOG_FAILURE_INIT;
}

static void world_close(struct world *w)
{
    archive_builder_close(w->b);
    object_store_close(w->store);
}

static int replay(struct world *w)
{
    w->told = 0;
    w->last_ns = 0;
    return evlog_replay_run(NULL, &w->options, &w->summary, &w->failure);
}

/* --- refusals ----------------------------------------------------------------------------------------------------- */

TEST(replay_archive, refuses_what_is_not_there)
{
    struct world w;
    world_open(&w);
    w.options.topic = "b";
    assert_int_equal(replay(&w), EVLOG_ERR_UNKNOWN_TOPIC);
    w.options.topic = "a";
    w.options.archive_url = "file:///nowhere/at/all";
    assert_int_equal(replay(&w), EVLOG_ERR_NOT_FOUND);
    w.options.archive_url = NULL;
    assert_int_equal(replay(&w), EVLOG_ERR_ARGUMENT);
    world_close(&w);
}

TEST(replay_archive, refuses_one_that_others_have_signed)
{
    struct world w;
    struct el_public_key pub;
    char pem[EL_SIGN_PEM_MAX];
    world_open(&w);
    for (size_t i = 0; i < 2; i++) {
        el_private_key_public(key_of(i), &pub);
        assert_int_equal(el_public_key_pem(&pub, pem, sizeof pem), 0);
        w.options.archive_keys = (struct evlog_bytes){pem, strlen(pem)};
        assert_int_equal(replay(&w), i == 0 ? 0 : EVLOG_ERR_CORRUPT);
    }
    world_close(&w);
}

TEST(replay_archive, refuses_a_time_through_which_it_is_not_complete)
{
    struct world w;
    world_open(&w);
    w.options.until_ns = (int64_t)w.b->now_ns + 1;
    assert_int_equal(replay(&w), EVLOG_ERR_ARGUMENT);
    assert_non_null(strstr(w.failure.text, "complete through 2026-01-01T"));
    w.options.until_ns--;
    assert_int_equal(replay(&w), 0);
    assert_int_equal(w.told, 16);
    world_close(&w);
}

/* --- events ------------------------------------------------------------------------------------------------------- */

TEST(replay_archive, tells_all_events_in_the_order_of_append_times)
{
    struct world w;
    world_open(&w);
    assert_int_equal(replay(&w), 0);
    assert_int_equal(w.told, 16);
    assert_int_equal(w.summary.event_count, 16);
    assert_false(w.summary.partial);
    assert_int_equal(w.summary.hole_count, 0);
    world_close(&w);
}

TEST(replay_archive, ends_at_a_time)
{
    struct world w;
    world_open(&w);
    w.options.until_ns = (int64_t)archive_builder_partition(w.b, "a", 1)->batches[1].row.leaf.append_time_ns;
    assert_int_equal(replay(&w), 0);
    assert_int_equal(w.told, 8);
    w.options.until_ns--;
    assert_int_equal(replay(&w), 0);
    assert_int_equal(w.told, 6);
    world_close(&w);
}

TEST(replay_archive, says_what_is_missing)
{
    struct world w;
    world_open(&w);
    archive_builder_redact(w.b, "a", 0, 2, "a secret");
    archive_builder_log_start(w.b, "a", 1, 3);
    archive_builder_round(w.b);
    assert_int_equal(replay(&w), 0);
    assert_int_equal(w.told, 16 - 2 - 3);
    assert_int_equal(w.summary.hole_count, 2);
    assert_true(w.summary.partial);
    world_close(&w);
}

TEST(replay_archive, begins_behind_a_position)
{
    struct world w;
    world_open(&w);
    w.options.from_position = "a/0/4"; /* whose batch is the fifth of all */
    assert_int_equal(replay(&w), 0);
    assert_int_equal(w.told, 8);
    world_close(&w);
}

/* Objects that the old root names are removed, and the log start has moved: it has what it had. */
TEST(replay_archive, keeps_to_a_root)
{
    struct world w;
    world_open(&w);
    archive_builder_append(w.b, "a", 0, 1);
    archive_builder_round(w.b);
    archive_builder_segment(w.b, "a", 0);
    archive_builder_segment(w.b, "a", 1);
    archive_builder_log_start(w.b, "a", 1, 3);
    archive_builder_round(w.b);
    archive_builder_sweep(w.b);
    archive_builder_round(w.b);
    assert_int_equal(replay(&w), 0);
    assert_int_equal(w.told, 18 - 3);
    w.options.archive_root = 1;
    assert_int_equal(replay(&w), 0);
    assert_int_equal(w.told, 16);
    assert_false(w.summary.partial);
    w.options.until_ns = (int64_t)w.b->now_ns; /* of the event that came behind it */
    assert_int_equal(replay(&w), EVLOG_ERR_ARGUMENT);
    world_close(&w);
}

TEST(replay_archive, refuses_a_root_that_is_not_there)
{
    struct world w;
    world_open(&w);
    w.options.archive_root = 9;
    assert_int_equal(replay(&w), EVLOG_ERR_NOT_FOUND);
    w.options.archive_root = 0;
    w.options.archive_incarnation = "some";
    assert_int_equal(replay(&w), EVLOG_ERR_MALFORMED);
    w.options.archive_incarnation = "00112233445566778899aabbccddeeff";
    assert_int_equal(replay(&w), EVLOG_ERR_NOT_FOUND);
    world_close(&w);
}
