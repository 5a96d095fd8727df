/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: an archive as it was made is proven, and whatever is done to any object of it is a finding that names the
 * object, and offset and byte where there are some. Method: a small archive with all that there is (segments, bundles,
 * a gap, a redaction, a deleted topic, a rotated key, a parent), and each of its objects changed, cut, dropped,
 * doubled, renamed and swapped, past all rules.
 */
#include "archive_builder.h"
#include "mem_store.h"
#include "test.h"

#include <core/alloc.h>
#include <evlog/error.h>
#include <format/batch.h>
#include <stdio.h>
#include <store/archive_verify.h>
#include <string.h>

static struct el_private_key *key_of(size_t i)
{
    static struct el_private_key *keys[3];
    if (keys[i] == NULL) {
        assert_int_equal(el_private_key_make(EL_SIGN_ED25519, &keys[i], NULL), 0);
    }
    return keys[i];
}

static struct mem_store *whole;     /* the archive as it was made */
static struct archive_root seen_at; /* a root on the way */

static void build(void)
{
    if (whole != NULL) {
        return;
    }
    whole = mem_store_open();
    struct el_private_key *first[] = {key_of(0)}, *second[] = {key_of(1)};
    struct archive_builder *b = archive_builder_open(&whole->base,
                                                     &(struct archive_build){.seed = 1, .keys = first, .key_count = 1});
    archive_builder_topic(b, "a", 2);
    archive_builder_topic(b, "gone", 1);
    archive_builder_append(b, "a", 0, 3);
    archive_builder_append(b, "gone", 0, 1);
    archive_builder_round(b);
    archive_builder_segment(b, "a", 0);
    archive_builder_append(b, "a", 0, 2);
    archive_builder_append(b, "a", 1, 1);
    archive_builder_round(b);
    archive_builder_redact(b, "a", 0, 2, "a password");
    archive_builder_delete_topic(b, "gone");
    archive_builder_rotate(b, second, 1);
    archive_builder_round(b);
    struct archive_builder *child = archive_builder_open(
        &whole->base,
        &(struct archive_build){.seed = 2, .keys = second, .key_count = 1, .parent = b->state, .start_ns = b->now_ns});
    archive_builder_append(child, "a", 0, 2);
    archive_builder_round(child);
    assert_int_equal(archive_root_get(&whole->base, &child->incarnation, 1, &seen_at, NULL), 0);
    archive_builder_skip(child, "a", 0, 5);
    archive_builder_append(child, "a", 0, 300);
    archive_builder_round(child);
    archive_builder_segment(child, "a", 0);
    archive_builder_skip(child, "a", 1, 5);
    archive_builder_append(child, "a", 1, 2);
    archive_builder_round(child);
    archive_builder_retire(child, "a", 0, 1);
    archive_builder_append(child, "a", 0, 1);
    child->full = true;
    archive_builder_round(child);
    archive_builder_close(child);
    archive_builder_close(b);
}

static int verify(struct mem_store *store, bool deep, struct archive_report *report, struct el_error *err)
{
    struct el_public_key pub;
    el_private_key_public(key_of(1), &pub);
    struct archive_verify_options options = {
        .keys = &pub, .key_count = 1, .since = el_slice_of(seen_at.note, seen_at.note_len), .deep = deep, .threads = 2};
    return archive_verify(&store->base, &options, report, err);
}

static void show(const struct archive_report *report)
{
    for (size_t i = 0; i < report->finding_count; i++) {
        const struct archive_finding *f = &report->findings[i];
        (void)fprintf(stderr, "  %s %s/%d offset %lld byte %lld: %s\n", f->object, f->topic, f->partition,
                      (long long)f->offset, (long long)f->byte, f->text);
    }
}

/* Is there a finding that names this object? With byte: not behind it, and at most so much in front. */
static bool found(const struct archive_report *report, const char *object)
{
    for (size_t i = 0; i < report->finding_count; i++) {
        if (strcmp(report->findings[i].object, object) == 0) {
            return true;
        }
    }
    return false;
}

/* Verify a store in which `object` is not as it was made: it is found and named. */
static void refused(struct mem_store *store, const char *object, const char *what)
{
    struct archive_report report;
    struct el_error err = {0};
    int code = verify(store, true, &report, &err);
    if (code != 0 || report.proven || !found(&report, object)) {
        (void)fprintf(stderr, "%s %s: code %d %s\n", what, object, code, code != 0 ? err.text : "");
        show(&report);
        fail();
    }
    archive_report_free(&report);
}

TEST(archive_verify, proves_what_was_made)
{
    build();
    for (int deep = 0; deep < 2; deep++) {
        struct archive_report report;
        struct el_error err = {0};
        int code = verify(whole, deep == 1, &report, &err);
        if (code != 0 || !report.proven) {
            (void)fprintf(stderr, "code %d %s\n", code, err.text);
            show(&report);
        }
        assert_int_equal(code, 0);
        assert_true(report.proven);
        assert_int_equal(report.root.sequence, 4);
        assert_int_equal(report.incarnations, 2);
        assert_int_equal(report.batches, 3 + 1 + 2 + 1 + 2 + 1);
        assert_int_equal(report.redacted_batches, 1);
        assert_int_equal(report.gap_total, 1);
        assert_int_equal(report.gaps[0].end_offset - report.gaps[0].first_offset, 5);
        assert_int_equal(report.retired_count, 1);
        assert_int_equal(report.retired[0].first_offset, 10);
        assert_int_equal(report.retired[0].retired.end_offset, 10 + 4 + 5 + 600);
        assert_int_equal(report.since_sequence, 1);
        assert_int_equal(report.orphans, 0);
        archive_report_free(&report);
    }
}

TEST(archive_verify, needs_a_key_and_a_note_that_is_one)
{
    struct archive_report report;
    struct el_error err = {0};
    struct el_public_key pub;
    build();
    el_private_key_public(key_of(1), &pub);
    assert_int_equal(archive_verify(&whole->base, &(struct archive_verify_options){.key_count = 0}, &report, &err),
                     EVLOG_ERR_ARGUMENT);
    struct archive_verify_options options = {.keys = &pub, .key_count = 1, .since = el_slice_str("hello\n")};
    assert_int_equal(archive_verify(&whole->base, &options, &report, &err), EVLOG_ERR_ARGUMENT);
    el_private_key_public(key_of(2), &pub);
    options.since.len = 0;
    assert_int_equal(archive_verify(&whole->base, &options, &report, &err), 0);
    assert_false(report.proven);
    assert_non_null(strstr(report.findings[0].text, "not signed with a key that was given"));
    archive_report_free(&report);
    struct mem_store *empty = mem_store_open();
    assert_int_equal(archive_verify(&empty->base, &options, &report, &err), EVLOG_ERR_NOT_FOUND);
    object_store_close(&empty->base);
}

/* The digits of when an archive was made, in cluster.json, are believed by nobody. */
static bool counts(const struct mem_object *o, uint64_t pos)
{
    const char *made = strstr(o->key, "cluster.json") == NULL ? NULL : memmem(o->data, o->len, "\"made\":\"", 8);
    uint64_t from = made == NULL ? 0 : (uint64_t)((const uint8_t *)made - o->data) + 8;
    return made == NULL || pos < from || pos >= from + 24;
}

TEST(archive_verify, finds_changed_bytes_in_every_object)
{
    build();
    for (size_t i = 0; i < whole->count; i++) {
        struct mem_object *o = &whole->objects[i];
        uint64_t step = o->len / 6 + 1;
        for (uint64_t pos = i % step; pos < o->len; pos += step) {
            if (counts(o, pos)) {
                uint8_t bit = (uint8_t)(1u << (pos % 8));
                o->data[pos] ^= bit;
                refused(whole, o->key, "changed");
                o->data[pos] ^= bit;
            }
        }
    }
}

/* The newest root may be missing: then the archive is an older one, as who has seen the newer one knows. */
static bool is_newest_root(const char *key)
{
    char newest[EL_ARCHIVE_KEY_MAX];
    el_archive_key_root(newest, &seen_at.incarnation, 4);
    return strcmp(key, newest) == 0;
}

TEST(archive_verify, finds_objects_that_are_dropped_cut_longer_doubled_or_renamed)
{
    build();
    for (size_t i = 0; i < whole->count; i++) {
        const struct mem_object *o = &whole->objects[i];
        char other[EL_ARCHIVE_KEY_MAX];
        struct mem_store *copy = mem_store_copy(whole);
        mem_store_drop(copy, o->key);
        if (!is_newest_root(o->key)) {
            refused(copy, o->key, "dropped");
        }
        assert_int_equal(mem_store_set(copy, o->key, o->data, o->len - 1), 0);
        refused(copy, o->key, "cut");
        uint8_t *longer = el_calloc(1, o->len + 1);
        memcpy(longer, o->data, o->len);
        assert_int_equal(mem_store_set(copy, o->key, longer, o->len + 1), 0);
        refused(copy, o->key, "longer");
        el_free(longer);
        /* another last digit or letter */
        (void)snprintf(other, sizeof(other), "%s", o->key);
        char *last = other + strlen(other) - (strstr(other, ".seg") != NULL ? 5 : 1);
        *last = *last == '9' ? '8' : *last == 'f' ? 'e' : (char)(*last + 1);
        if (mem_store_find(whole, other) == NULL) {
            assert_int_equal(mem_store_set(copy, o->key, o->data, o->len), 0);
            assert_int_equal(mem_store_set(copy, other, o->data, o->len), 0);
            refused(copy, other, "doubled");
        }
        object_store_close(&copy->base);
    }
}

TEST(archive_verify, finds_pairs_that_were_swapped)
{
    build();
    struct mem_store *copy = mem_store_copy(whole);
    for (size_t i = 0; i < whole->count; i++) {
        for (size_t k = i + 1; k < whole->count; k += 1 + (i + k) % 5) {
            const struct mem_object *a = &whole->objects[i], *b = &whole->objects[k];
            if (a->len == b->len && memcmp(a->data, b->data, a->len) == 0) {
                continue;
            }
            assert_int_equal(mem_store_set(copy, a->key, b->data, b->len), 0);
            assert_int_equal(mem_store_set(copy, b->key, a->data, a->len), 0);
            struct archive_report report;
            assert_int_equal(verify(copy, true, &report, NULL), 0);
            assert_false(report.proven);
            if (!found(&report, a->key) && !found(&report, b->key)) {
                (void)fprintf(stderr, "swapped %s and %s\n", a->key, b->key);
                show(&report);
                fail();
            }
            archive_report_free(&report);
            assert_int_equal(mem_store_set(copy, a->key, a->data, a->len), 0);
            assert_int_equal(mem_store_set(copy, b->key, b->data, b->len), 0);
        }
    }
    object_store_close(&copy->base);
}

TEST(archive_verify, names_offset_and_byte_of_a_batch)
{
    build();
    for (size_t i = 0; i < whole->count; i++) {
        struct mem_object *o = &whole->objects[i];
        if (strstr(o->key, "/seg/00000000000000000010-") == NULL) {
            continue;
        }
        struct archive_report report;
        o->data[o->len - 5] ^= 4;
        assert_int_equal(verify(whole, true, &report, NULL), 0);
        assert_true(report.finding_count >= 1);
        bool named = false;
        for (size_t k = 0; k < report.finding_count; k++) {
            const struct archive_finding *f = &report.findings[k];
            named = named || (strcmp(f->topic, "a") == 0 && f->partition == 0 && f->offset > 600 &&
                              f->byte > (int64_t)o->len - 200 && f->byte < (int64_t)o->len);
        }
        assert_true(named);
        archive_report_free(&report);
        o->data[o->len - 5] ^= 4;
    }
}

/* A batch of one record of so many bytes. */
static void append_long(struct archive_builder *b, int32_t partition, size_t len)
{
    struct el_batch_builder builder;
    struct el_slice batch;
    uint8_t *value = el_calloc(1, len);
    struct el_record_body body = {.value = el_slice_of(value, len)};
    value[len / 2] = (uint8_t)len;
    el_batch_builder_init(&builder, len + 1024);
    assert_int_equal(el_batch_builder_add(&builder, 1767225600000, &body), 0);
    assert_int_equal(el_batch_builder_finish(&builder, EL_CODEC_NONE, NULL, &batch), 0);
    archive_builder_append_batch(b, "long", partition, batch, b->now_ns + 1000);
    el_batch_builder_destroy(&builder);
    el_free(value);
}

/* Packs that are read in several pieces, and more of them than a thread has open at once. */
static struct mem_store *build_long(struct el_public_key *pub)
{
    struct mem_store *store = mem_store_open();
    struct el_private_key *keys[] = {key_of(0)};
    el_private_key_public(key_of(0), pub);
    struct archive_builder *b = archive_builder_open(&store->base,
                                                     &(struct archive_build){.seed = 3, .keys = keys, .key_count = 1});
    archive_builder_topic(b, "long", 2);
    for (size_t round = 0; round < 20; round++) {
        for (size_t i = 0; i < (round == 5 ? 300 : 2); i++) {
            append_long(b, (int32_t)(i % 2), round * 100 + i);
        }
        if (round % 9 == 4) {
            for (size_t i = 0; i < 3; i++) {
                append_long(b, 1, (i + 1) * 1500000);
            }
        }
        archive_builder_round(b);
    }
    archive_builder_close(b);
    return store;
}

TEST(archive_verify, proves_packs_longer_than_what_it_reads_at_once)
{
    struct el_public_key pub;
    struct mem_store *store = build_long(&pub);
    for (uint32_t threads = 1; threads <= 3; threads += 2) {
        struct archive_report report;
        struct archive_verify_options options = {.keys = &pub, .key_count = 1, .deep = true, .threads = threads};
        assert_int_equal(archive_verify(&store->base, &options, &report, NULL), 0);
        show(&report);
        assert_true(report.proven);
        archive_report_free(&report);
        for (size_t i = 0; i < store->count; i += 3) {
            struct mem_object *o = &store->objects[i];
            uint64_t pos = o->len - 10;
            if (strstr(o->key, "/bundles/") == NULL) {
                continue;
            }
            o->data[pos] ^= 1;
            assert_int_equal(archive_verify(&store->base, &options, &report, NULL), 0);
            assert_int_equal(report.finding_count, 2); /* the batch, and the object */
            for (size_t k = 0; k < 2; k++) {
                const struct archive_finding *f = &report.findings[k];
                assert_string_equal(f->object, o->key);
                assert_true(f->byte <= (int64_t)pos);
                assert_true(f->topic[0] == '\0' || f->partition == 1);
            }
            archive_report_free(&report);
            o->data[pos] ^= 1;
        }
    }
    object_store_close(&store->base);
}

TEST(archive_verify, finds_a_rollback_and_a_fork_by_the_note_of_an_earlier_visit)
{
    build();
    struct mem_store *copy = mem_store_copy(whole);
    struct archive_root later;
    struct archive_report report;
    struct el_public_key pub;
    char key[EL_ARCHIVE_KEY_MAX];
    el_private_key_public(key_of(1), &pub);
    assert_int_equal(archive_root_get(&whole->base, &seen_at.incarnation, 4, &later, NULL), 0);
    el_archive_key_root(key, &seen_at.incarnation, 4);
    mem_store_drop(copy, key);
    struct archive_verify_options options = {
        .keys = &pub, .key_count = 1, .since = el_slice_of(later.note, later.note_len)};
    assert_int_equal(archive_verify(&copy->base, &options, &report, NULL), 0);
    assert_false(report.proven);
    assert_non_null(strstr(report.findings[0].text, "rolled back"));
    archive_report_free(&report);
    options.since.len = 0; /* who has not been here before cannot know */
    assert_int_equal(archive_verify(&copy->base, &options, &report, NULL), 0);
    assert_true(report.proven);
    assert_int_equal(report.root.sequence, 3);
    assert_true(report.orphans > 0);
    archive_report_free(&report);
    object_store_close(&copy->base);
}

TEST(archive_verify, what_a_round_left_that_did_not_end_is_no_finding)
{
    build();
    struct mem_store *store = mem_store_open(), *before = NULL;
    struct el_private_key *keys[] = {key_of(1)};
    struct archive_builder *b = archive_builder_open(&store->base,
                                                     &(struct archive_build){.seed = 2, .keys = keys, .key_count = 1});
    archive_builder_topic(b, "a", 1);
    archive_builder_append(b, "a", 0, 3);
    archive_builder_round(b);
    archive_builder_append(b, "a", 0, 3);
    archive_builder_segment(b, "a", 0);
    archive_builder_round(b);
    char key[EL_ARCHIVE_KEY_MAX];
    el_archive_key_root(key, &b->incarnation, 2);
    before = mem_store_copy(store);
    mem_store_drop(before, key);
    struct archive_report report;
    struct el_public_key pub;
    el_private_key_public(key_of(1), &pub);
    for (int deep = 0; deep < 2; deep++) {
        struct archive_verify_options options = {.keys = &pub, .key_count = 1, .deep = deep == 1};
        assert_int_equal(archive_verify(&before->base, &options, &report, NULL), 0);
        show(&report);
        assert_true(report.proven);
        assert_true(report.orphans >= 3);
        archive_report_free(&report);
    }
    archive_builder_close(b);
    object_store_close(&before->base);
    object_store_close(&store->base);
}

TEST(archive_verify, what_the_store_cannot_say_now_ends_it)
{
    build();
    for (int call = MEM_GET; call <= MEM_LIST; call++) {
        for (uint32_t skip = 0; skip < 40; skip += 3) {
            struct archive_report report;
            struct el_error err = {0};
            mem_store_fault(whole, (struct mem_fault){.call = (enum mem_call)call,
                                                      .skip = skip,
                                                      .count = UINT32_MAX,
                                                      .effect = MEM_FAIL,
                                                      .code = EVLOG_ERR_AGAIN});
            int code = verify(whole, true, &report, &err);
            mem_store_clear_faults(whole);
            assert_true(code == EVLOG_ERR_AGAIN || (code == 0 && call != MEM_GET));
            archive_report_free(&report);
        }
    }
}
