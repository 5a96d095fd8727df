/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a program reads an archived topic whole, in the order of append times, goes on from any position exactly behind
 * it, and sees what a newer root brings; verifying says what a change has done. Method: archives in a directory, made
 * round by round.
 */
#include "archive_builder.h"
#include "test.h"

#include <core/alloc.h>
#include <evlog/archive.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <store/dir_store.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct world {
    struct object_store *store;
    struct archive_builder *b;
    struct el_private_key *key;
    char url[512];
    char pem[1024];
    struct evlog_failure failure;
};

/* "a" with three partitions and nothing in them. */
static void world_begin(struct world *w)
{
    struct el_public_key pub;
    *w = (struct world){.failure = EVLOG_FAILURE_INIT};
    (void)snprintf(w->url, sizeof w->url, "file://%s/archive", el_test_dir());
    assert_int_equal(dir_store_open(w->url + 7, true, w->url, &w->store, NULL), 0);
    assert_int_equal(el_private_key_make(EL_SIGN_ED25519, &w->key, NULL), 0);
    el_private_key_public(w->key, &pub);
    assert_int_equal(el_public_key_pem(&pub, w->pem, sizeof w->pem), 0);
    w->b = archive_builder_open(w->store, &(struct archive_build){.seed = 5, .keys = &w->key, .key_count = 1});
    archive_builder_topic(w->b, "a", 3);
}

/* Batches were appended in turn; every third one is two rounds old. */
static void world_open(struct world *w)
{
    world_begin(w);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 6; i++) {
            archive_builder_append(w->b, "a", (i * 2 + round) % 3, 1);
        }
        archive_builder_segment(w->b, "a", 0);
        if (round == 0) {
            archive_builder_partition(w->b, "a", 0)->wants_segment = false;
        }
        archive_builder_round(w->b);
    }
}

static void world_close(struct world *w)
{
    archive_builder_close(w->b);
    el_private_key_free(w->key);
    object_store_close(w->store);
}

static struct evlog_archive *open_topic(struct world *w, const char *position)
{
    struct evlog_archive_options options = EVLOG_ARCHIVE_OPTIONS_INIT;
    struct evlog_archive *archive = NULL;
    options.url = w->url;
    options.public_keys = w->pem;
    options.topic = "a";
    options.position = position;
    int code = evlog_archive_open(&options, &archive, &w->failure);
    if (code != 0) {
        (void)fprintf(stderr, "%s\n", w->failure.text);
    }
    assert_int_equal(code, 0);
    return archive;
}

static int open_with(struct world *w, const struct evlog_archive_options *options)
{
    struct evlog_archive *archive = NULL;
    int code = evlog_archive_open(options, &archive, &w->failure);
    evlog_archive_close(archive);
    return code;
}

TEST(archive, what_cannot_be_opened_is_said)
{
    struct world w;
    world_open(&w);
    struct evlog_archive_options options = EVLOG_ARCHIVE_OPTIONS_INIT;
    assert_int_equal(open_with(&w, &options), EVLOG_ERR_ARGUMENT); /* no URL */
    options.url = "ftp://x";
    assert_int_equal(open_with(&w, &options), EVLOG_ERR_ARGUMENT);
    options.url = "file:///nowhere/at/all";
    assert_int_equal(open_with(&w, &options), EVLOG_ERR_NOT_FOUND);
    options.url = w.url;
    options.public_keys = "no key";
    assert_int_equal(open_with(&w, &options), EVLOG_ERR_MALFORMED);
    options.public_keys = w.pem;
    options.incarnation = "12";
    assert_int_equal(open_with(&w, &options), EVLOG_ERR_ARGUMENT);
    options.incarnation = NULL;
    options.root = 9;
    assert_int_equal(open_with(&w, &options), EVLOG_ERR_NOT_FOUND);
    options.root = 0;
    options.topic = "b";
    assert_int_equal(open_with(&w, &options), EVLOG_ERR_UNKNOWN_TOPIC);
    options.topic = "a";
    options.position = "?";
    assert_int_equal(open_with(&w, &options), EVLOG_ERR_MALFORMED);
    options.position = NULL;
    options.size = 1;
    assert_int_equal(open_with(&w, &options), EVLOG_ERR_ARGUMENT);
    options.size = sizeof options;
    assert_int_equal(open_with(&w, &options), 0);
    world_close(&w);
}

/* Offsets and partitions of the events that come, packed; returns how many. */
static size_t read_on(struct world *w, struct evlog_archive *archive, int64_t *seen, size_t max)
{
    const struct evlog_event *event;
    size_t count = 0;
    int64_t before = 0;
    int code = 0;
    while (count < max && (code = evlog_archive_next(archive, &event, &w->failure)) == 1) {
        char value[64];
        assert_true(event->append_time_ns >= before);
        before = event->append_time_ns;
        (void)snprintf(value, sizeof value, "a/%d/%lld", event->partition, (long long)event->offset);
        assert_int_equal(event->value.len, strlen(value));
        assert_memory_equal(event->value.data, value, strlen(value));
        seen[count++] = event->offset * 3 + event->partition;
    }
    assert_true(code == 1 || code == 0);
    return count;
}

TEST(archive, is_read_in_the_order_of_append_times)
{
    struct world w;
    int64_t seen[100];
    world_open(&w);
    struct evlog_archive *archive = open_topic(&w, NULL);
    struct evlog_archive_info info = {.size = sizeof info};
    evlog_archive_info(archive, &info);
    assert_int_equal(info.root, 3);
    assert_int_equal(info.partition_count, 3);
    assert_int_equal(strlen(info.incarnation), 32);
    assert_int_equal(read_on(&w, archive, seen, 100), 36);
    for (size_t i = 0; i < 36; i++) {
        for (size_t k = i + 1; k < 36; k++) {
            assert_int_not_equal(seen[i], seen[k]);
        }
    }
    evlog_archive_close(archive);
    world_close(&w);
}

TEST(archive, goes_on_behind_any_event)
{
    struct world w;
    int64_t whole[100], first[100], rest[100];
    world_open(&w);
    struct evlog_archive *archive = open_topic(&w, NULL);
    assert_int_equal(read_on(&w, archive, whole, 100), 36);
    evlog_archive_close(archive);
    for (size_t at = 0; at <= 36; at += 5) {
        archive = open_topic(&w, NULL);
        assert_int_equal(read_on(&w, archive, first, at), at);
        char *position = el_strdup(evlog_archive_position(archive));
        evlog_archive_close(archive);
        archive = open_topic(&w, position);
        assert_int_equal(read_on(&w, archive, rest, 100), 36 - at);
        assert_memory_equal(first, whole, at * sizeof whole[0]);
        assert_memory_equal(rest, whole + at, (36 - at) * sizeof whole[0]);
        evlog_archive_close(archive);
        el_free(position);
    }
    world_close(&w);
}

TEST(archive, a_newer_root_brings_more)
{
    struct world w;
    int64_t seen[100];
    world_open(&w);
    struct evlog_archive *archive = open_topic(&w, NULL);
    assert_int_equal(read_on(&w, archive, seen, 10), 10);
    assert_int_equal(evlog_archive_refresh(archive, &w.failure), 0);
    archive_builder_append(w.b, "a", 1, 2);
    archive_builder_redact(w.b, "a", 0, 2, "a secret");
    archive_builder_round(w.b);
    assert_int_equal(evlog_archive_refresh(archive, &w.failure), 1);
    assert_int_equal(read_on(&w, archive, seen, 100), 30);
    assert_int_equal(read_on(&w, archive, seen, 100), 0);
    evlog_archive_close(archive);
    archive = open_topic(&w, NULL);
    struct evlog_archive_info info = {.size = sizeof info};
    assert_int_equal(read_on(&w, archive, seen, 100), 38); /* one batch of two was redacted */
    evlog_archive_info(archive, &info);
    assert_int_equal(info.redacted_batches, 1);
    evlog_archive_close(archive);
    world_close(&w);
}

/* Many a topic has partitions that no key falls into; its reader found no event of the others. */
TEST(archive, partitions_without_events_are_no_fault)
{
    struct world w;
    int64_t seen[100];
    world_begin(&w);
    archive_builder_round(w.b);
    struct evlog_archive *archive = open_topic(&w, NULL);
    assert_int_equal(read_on(&w, archive, seen, 100), 0);
    archive_builder_append(w.b, "a", 1, 1);
    archive_builder_round(w.b);
    assert_int_equal(evlog_archive_refresh(archive, &w.failure), 1);
    assert_int_equal(read_on(&w, archive, seen, 100), 2);
    assert_int_equal(evlog_archive_seek(archive, 0, &w.failure), 0);
    assert_int_equal(read_on(&w, archive, seen, 100), 2);
    char *position = el_strdup(evlog_archive_position(archive));
    evlog_archive_close(archive);
    archive = open_topic(&w, position);
    el_free(position);
    assert_int_equal(read_on(&w, archive, seen, 100), 0);
    archive_builder_append(w.b, "a", 0, 1);
    archive_builder_round(w.b);
    assert_int_equal(evlog_archive_refresh(archive, &w.failure), 1);
    assert_int_equal(read_on(&w, archive, seen, 100), 2);
    evlog_archive_close(archive);
    world_close(&w);
}

TEST(archive, goes_to_a_time)
{
    struct world w;
    int64_t seen[100];
    world_open(&w);
    struct evlog_archive *archive = open_topic(&w, NULL);
    const struct built_partition *p = archive_builder_partition(w.b, "a", 1);
    int64_t time = (int64_t)p->batches[3].row.leaf.append_time_ns;
    size_t later = 0;
    for (int32_t i = 0; i < 3; i++) {
        const struct built_partition *other = archive_builder_partition(w.b, "a", i);
        for (size_t k = 0; k < other->count; k++) {
            later += other->batches[k].row.leaf.append_time_ns >= (uint64_t)time ? 2 : 0;
        }
    }
    assert_int_equal(read_on(&w, archive, seen, 7), 7);
    assert_int_equal(evlog_archive_seek(archive, time, &w.failure), 0);
    assert_int_equal(read_on(&w, archive, seen, 100), later);
    assert_int_equal(seen[0], p->batches[3].row.leaf.first_offset * 3 + 1);
    assert_int_equal(evlog_archive_seek(archive, INT64_MAX, &w.failure), 0);
    assert_int_equal(read_on(&w, archive, seen, 100), 0);
    evlog_archive_close(archive);
    world_close(&w);
}

static int findings;

static void on_finding(void *arg, const struct evlog_archive_finding *finding)
{
    findings += strstr(finding->object, arg) != NULL && finding->text[0] != '\0';
}

TEST(archive, verifying_says_what_was_changed)
{
    struct world w;
    char key[EL_ARCHIVE_KEY_MAX], path[4096];
    world_open(&w);
    struct evlog_archive_verify_options options = EVLOG_ARCHIVE_VERIFY_OPTIONS_INIT;
    struct evlog_archive_verdict verdict = {.size = sizeof verdict};
    assert_int_equal(evlog_archive_verify(&options, &verdict, &w.failure), EVLOG_ERR_ARGUMENT);
    options.url = w.url;
    options.public_keys = w.pem;
    options.deep = true;
    options.on_finding = on_finding;
    options.arg = (void *)(uintptr_t) "bundles/";
    assert_int_equal(evlog_archive_verify(&options, &verdict, &w.failure), 0);
    assert_true(verdict.proven);
    assert_int_equal(verdict.event_count, 36);
    assert_int_equal(verdict.root, 3);
    options.since = (struct evlog_bytes){verdict.note, strlen(verdict.note)};
    char *note = el_strdup(verdict.note);
    options.since.data = note;
    assert_int_equal(evlog_archive_verify(&options, &verdict, &w.failure), 0);
    assert_true(verdict.proven);
    el_free(note);
    /* a byte of the newest bundle */
    for (size_t i = 0; i < w.b->state->object_count; i++) {
        struct archive_object object = archive_object_at(w.b->state, i);
        if (object.now.kind == EL_PACK_BUNDLE) {
            el_archive_key_object(key, &w.b->incarnation, &object.now);
        }
    }
    (void)snprintf(path, sizeof path, "%s/%s", w.url + 7, key);
    (void)chmod(path, 0600);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    uint8_t byte = 0;
    assert_int_equal(pread(fd, &byte, 1, 700), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, 700), 1);
    (void)close(fd);
    options.since.len = 0;
    assert_int_equal(evlog_archive_verify(&options, &verdict, &w.failure), 0);
    assert_false(verdict.proven);
    assert_true(findings > 0);
    world_close(&w);
}
