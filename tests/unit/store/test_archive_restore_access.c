/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a restore says whether the keys that it is given open users and access rules, and puts them into the directory
 * when they do, readable by nobody else. Method: an archive that a builder makes in memory, with sealed records.
 */
#include "archive_builder.h"
#include "mem_store.h"
#include "test.h"

#include <core/alloc.h>
#include <evlog/error.h>
#include <format/batch.h>
#include <format/catalogue_layout.h>
#include <stdio.h>
#include <store/archive_restore.h>
#include <sys/stat.h>

#define SECOND_NS 1000000000ull

struct world {
    struct mem_store *store;
    struct archive_builder *b;
    struct archive_restore_result result;
    char dir[512];
};

static void append(struct world *w, const char *topic, struct el_slice key, struct el_slice value)
{
    struct el_record_body body = {.key = key, .value = value};
    struct el_batch_builder builder;
    struct el_slice batch;
    el_batch_builder_init(&builder, 1 << 16);
    assert_int_equal(el_batch_builder_add(&builder, 5, &body), 0);
    assert_int_equal(el_batch_builder_finish(&builder, EL_CODEC_NONE, NULL, &batch), 0);
    archive_builder_append_batch(w->b, topic, 0, batch, w->b->now_ns + SECOND_NS);
    el_batch_builder_destroy(&builder);
}

static void put_topic(struct world *w)
{
    uint8_t key[EL_CATALOGUE_KEY_LEN], value[100] = {1, EL_CATALOGUE_PUT, 1};
    struct el_uuid id = archive_builder_topic_id(EL_ACCESS_TOPIC);
    size_t name_len = strlen(EL_ACCESS_TOPIC), len = EL_CATALOGUE_HEAD_LEN + name_len + 2 + 4; /* one owner, settings */
    el_catalogue_key_put(key, &id);
    el_put_le32(value + 4, 1);
    el_put_le16(value + 8, (uint16_t)name_len);
    el_put_le16(value + 10, 4);
    memcpy(value + EL_CATALOGUE_HEAD_LEN, EL_ACCESS_TOPIC, name_len);
    append(w, "__evlog_meta", el_slice_of(key, sizeof key), el_slice_of(value, len));
    archive_builder_topic(w->b, EL_ACCESS_TOPIC, 1);
}

static void key_make(struct el_access_keys *keys, uint32_t index, uint8_t byte)
{
    uint8_t secret[EL_AEAD_KEY_LEN];
    memset(secret, byte, sizeof secret);
    el_access_key_init(&keys->keys[index], secret);
}

static void put_sealed(struct world *w, const struct el_access_key *key, const char *name, bool gone)
{
    static const uint8_t nonce[EL_AEAD_NONCE_LEN] = {1};
    uint8_t sealed[EL_ACCESS_SEALED_NAME_MAX], value[EL_ACCESS_SEALED_VALUE_LEN];
    struct el_slice plain = el_slice_str(name);
    struct el_slice sealed_name = el_slice_of(sealed, el_access_sealed_name_len(plain.len));
    assert_int_equal(el_access_seal_name(key, plain, sealed), 0);
    assert_int_equal(el_access_seal_value(key, sealed_name, nonce, el_slice_str("what it is"), value), 0);
    append(w, EL_ACCESS_TOPIC, sealed_name, gone ? (struct el_slice){0} : el_slice_of(value, sizeof value));
}

static void world_open(struct world *w)
{
    static struct el_private_key *key;
    *w = (struct world){.store = mem_store_open()};
    if (key == NULL) {
        assert_int_equal(el_private_key_make(EL_SIGN_ECDSA_P256, &key, NULL), 0);
    }
    w->b = archive_builder_open(&w->store->base, &(struct archive_build){.seed = 3, .keys = &key, .key_count = 1});
    snprintf(w->dir, sizeof w->dir, "%s/data", el_test_dir());
    archive_builder_topic(w->b, "__evlog_meta", 1);
    put_topic(w);
}

static void world_close(struct world *w)
{
    archive_builder_close(w->b);
    object_store_close(&w->store->base);
}

/* Into a directory of its own each time. */
static void restore(struct world *w, const struct el_access_keys *keys)
{
    struct archive_reader_options reader = {0};
    struct archive_restore_options options = {.path = w->dir, .access_keys = keys};
    struct el_error err = {0};
    strcat(w->dir, "+");
    int code = archive_restore(&w->store->base, &reader, &options, &w->result, &err);
    if (code != 0) {
        fail_msg("restore: %s", err.text);
    }
}

/* 0: there is no file of keys */
static mode_t file_mode(const struct world *w)
{
    char path[700];
    struct stat st;
    snprintf(path, sizeof path, "%s/" EL_ACCESS_KEYS_FILE, w->dir);
    return stat(path, &st) == 0 ? st.st_mode & 07777 : 0;
}

TEST(archive_restore_access, keys_that_open_all_become_those_of_the_directory)
{
    static struct world w;
    static struct el_access_keys keys = {.count = 2};
    char path[700], text[EL_ACCESS_KEYS_TEXT_MAX], wanted[EL_ACCESS_KEYS_TEXT_MAX];
    key_make(&keys, 0, 1);
    key_make(&keys, 1, 2);
    world_open(&w);
    append(&w, EL_ACCESS_TOPIC, el_slice_str("\1plain"), el_slice_str("\1"));
    put_sealed(&w, &keys.keys[0], "alice", false);
    put_sealed(&w, &keys.keys[1], "bob", false);
    archive_builder_round(w.b);
    restore(&w, &keys);
    assert_int_equal(w.result.access_unopened, 0);
    assert_string_equal(w.result.access_key, "");
    assert_int_equal(file_mode(&w), 0400);
    snprintf(path, sizeof path, "%s/" EL_ACCESS_KEYS_FILE, w.dir);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t len = fread(text, 1, sizeof text, file);
    fclose(file);
    assert_int_equal(len, el_access_keys_text(&keys, wanted));
    assert_memory_equal(text, wanted, len);
    world_close(&w);
}

TEST(archive_restore_access, what_no_key_opens_is_counted_as_far_as_it_is_in_force)
{
    static struct world w;
    static struct el_access_keys keys = {.count = 1}, others = {.count = 1}, none;
    char id[EL_ACCESS_KEY_ID_TEXT];
    key_make(&keys, 0, 1);
    key_make(&others, 0, 2);
    world_open(&w);
    put_sealed(&w, &keys.keys[0], "alice", false);
    put_sealed(&w, &keys.keys[0], "alice", false); /* a new password */
    put_sealed(&w, &keys.keys[0], "bob", false);
    put_sealed(&w, &keys.keys[0], "eve", false);
    put_sealed(&w, &keys.keys[0], "eve", true);
    put_sealed(&w, &others.keys[0], "carol", false);
    archive_builder_round(w.b);
    el_access_key_id_text(id, keys.keys[0].id);
    const struct el_access_keys *given[] = {&others, &none, NULL};
    for (size_t i = 0; i < 3; i++) {
        restore(&w, given[i]);
        assert_int_equal(w.result.access_unopened, i == 0 ? 2 : 3);
        assert_string_equal(w.result.access_key, id);
        assert_int_equal(file_mode(&w), 0);
    }
    world_close(&w);
}

/* A new key has sealed everything: the old one is needed no more, though what it has sealed is still in the log. */
TEST(archive_restore_access, what_was_sealed_anew_needs_the_new_key_only)
{
    static struct world w;
    static struct el_access_keys old = {.count = 1}, new = {.count = 1};
    key_make(&old, 0, 1);
    key_make(&new, 0, 2);
    world_open(&w);
    put_sealed(&w, &old.keys[0], "alice", false);
    put_sealed(&w, &old.keys[0], "alice", true);
    put_sealed(&w, &new.keys[0], "alice", false);
    archive_builder_round(w.b);
    restore(&w, &new);
    assert_int_equal(w.result.access_unopened, 0);
    assert_int_equal(file_mode(&w), 0400);
    restore(&w, &old);
    assert_int_equal(w.result.access_unopened, 1);
    world_close(&w);
}

TEST(archive_restore_access, of_an_archive_without_users_takes_the_key_all_the_same)
{
    static struct world w;
    static struct el_access_keys keys = {.count = 1};
    key_make(&keys, 0, 1);
    world_open(&w);
    archive_builder_round(w.b);
    restore(&w, &keys);
    assert_int_equal(w.result.access_unopened, 0);
    assert_int_equal(file_mode(&w), 0400);
    world_close(&w);
}
