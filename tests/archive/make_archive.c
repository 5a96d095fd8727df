/* SPDX-License-Identifier: Apache-2.0
 *
 * Makes a small archive in a directory, with all that one can have in it: bundles of several partitions, a segment that
 * takes the place of parts of them, a redaction, events that left by age, a gap, a topic that is deleted, keys that
 * change, a full manifest, and an incarnation that continues another. The same arguments give the same bytes.
 *
 * usage: make_archive DIR [small|parent|late]  DIR/archive, DIR/key.pem (both public keys), DIR/old.pem (those before)
 *
 *   small    one incarnation of a few rounds, with one pair of keys (what the tests change byte by byte)
 *   parent   (default) an incarnation with all of the above, and one that continues it; DIR/visit is a root note of the
 *            first, as an auditor keeps it, DIR/replaced names the objects of the first that others have taken the
 *            place of and that it does not state as removed
 *   late     the same, but the second has gone on for eight days
 */
#include "archive_builder.h"
#include "test_keys.h"

#include <core/assert.h>
#include <core/err.h>
#include <format/note.h>
#include <store/dir_store.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEED_FIRST 1u
#define SEED_CHILD 2u
#define LATER_MS (8ull * 24 * 3600 * 1000)

static const char *folder;

static void write_file(const char *name, const void *data, size_t len)
{
    char path[1024];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    EL_ASSERT(file != NULL);
    EL_ASSERT(fwrite(data, 1, len, file) == len);
    EL_ASSERT(fclose(file) == 0);
}

static size_t keys_of(const char *pem, struct el_private_key *keys[EL_SIGN_KEYS_MAX])
{
    size_t count = 0;
    EL_ASSERT(el_private_keys_parse(el_slice_str(pem), keys, &count, NULL) == 0);
    return count;
}

static void free_keys(struct el_private_key **keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        el_private_key_free(keys[i]);
    }
}

/* A root's note, to be kept for the next visit. */
static void keep_visit(struct object_store *store, const struct archive_builder *b)
{
    char key[EL_ARCHIVE_KEY_MAX];
    uint8_t *data;
    uint64_t len;
    el_archive_key_root(key, &b->incarnation, b->state->header.sequence);
    EL_ASSERT(object_get_all(store, key, EL_NOTE_LEN_MAX, &data, &len, NULL) == 0);
    write_file("visit", data, len);
    free(data);
}

static void small(struct object_store *store)
{
    struct el_private_key *keys[EL_SIGN_KEYS_MAX];
    size_t count = keys_of(TEST_KEY_P256 TEST_KEY_ED25519, keys);
    struct archive_builder *b = archive_builder_open(
        store, &(struct archive_build){.seed = SEED_FIRST, .keys = keys, .key_count = count});
    archive_builder_topic(b, "orders", 2);
    archive_builder_append(b, "orders", 0, 3);
    archive_builder_append(b, "orders", 1, 1);
    archive_builder_round(b);
    keep_visit(store, b);
    archive_builder_append(b, "orders", 0, 2);
    archive_builder_segment(b, "orders", 0);
    archive_builder_segment(b, "orders", 1);
    archive_builder_round(b);
    archive_builder_skip(b, "orders", 1, 7);
    archive_builder_append(b, "orders", 1, 1);
    archive_builder_redact(b, "orders", 0, 0, "a password");
    archive_builder_retire(b, "orders", 1, 1);
    archive_builder_round(b);
    archive_builder_close(b);
    free_keys(keys, count);
    write_file("key.pem", TEST_KEY_P256_PUBLIC TEST_KEY_ED25519_PUBLIC,
               strlen(TEST_KEY_P256_PUBLIC TEST_KEY_ED25519_PUBLIC));
}

/* Objects of an incarnation that are replaced, a line each. */
static void keep_replaced(const struct archive_builder *b)
{
    struct el_buffer names = {0};
    for (size_t i = 0; i < b->state->object_count; i++) {
        const struct archive_object known = archive_object_at(b->state, i);
        const struct el_manifest_object *object = &known.now;
        char key[EL_ARCHIVE_KEY_MAX];
        el_archive_key_object(key, &b->incarnation, object);
        if (object->state == EL_OBJECT_REPLACED) {
            el_buffer_append(&names, key, strlen(key));
            el_buffer_append(&names, "\n", 1);
        }
    }
    EL_ASSERT(names.err == 0);
    EL_ASSERT(names.len > 0);
    write_file("replaced", names.data, names.len);
    el_buffer_free(&names);
}

static void parent(struct object_store *store, uint64_t later_ms)
{
    struct el_private_key *keys[EL_SIGN_KEYS_MAX], *newer[EL_SIGN_KEYS_MAX];
    size_t count = keys_of(TEST_KEY_P256_OLD, keys), newer_count = keys_of(TEST_KEY_P256 TEST_KEY_ED25519, newer);
    struct archive_builder *b = archive_builder_open(
        store, &(struct archive_build){.seed = SEED_FIRST, .keys = keys, .key_count = count});
    archive_builder_topic(b, "orders", 3);
    archive_builder_topic(b, "users", 1);
    for (unsigned i = 0; i < 70; i++) { /* past a full manifest */
        archive_builder_append(b, "orders", (int32_t)i % 3, 1 + i % 4);
        archive_builder_append(b, "users", 0, 5);
        if (i == 3) {
            archive_builder_rotate(b, newer, newer_count);
        }
        if (i % 20 == 10) {
            archive_builder_segment(b, "orders", 0);
            archive_builder_segment(b, "users", 0);
        }
        if (i == 20) {
            keep_visit(store, b);
            archive_builder_redact(b, "users", 0, 0, "a name");
        }
        if (i == 40) {
            archive_builder_sweep(b);
            archive_builder_log_start(b, "orders", 1, 3);
            archive_builder_retire(b, "orders", 0, 1);
        }
        if (i == 60) {
            archive_builder_retire(b, "orders", 0, 1);
        }
        archive_builder_round(b);
    }
    struct archive_builder *child = archive_builder_open(
        store,
        &(struct archive_build){.seed = SEED_CHILD, .keys = newer, .key_count = newer_count, .parent = b->state});
    keep_replaced(b);
    archive_builder_append(child, "orders", 0, 2);
    archive_builder_append(child, "users", 0, 1);
    archive_builder_round(child);
    child->made_ms += later_ms;
    archive_builder_append(child, "users", 0, 4);
    archive_builder_round(child);
    archive_builder_close(child);
    archive_builder_close(b);
    free_keys(keys, count);
    free_keys(newer, newer_count);
    write_file("old.pem", TEST_KEY_P256_OLD_PUBLIC, strlen(TEST_KEY_P256_OLD_PUBLIC));
    write_file("key.pem", TEST_KEY_P256_PUBLIC TEST_KEY_ED25519_PUBLIC,
               strlen(TEST_KEY_P256_PUBLIC TEST_KEY_ED25519_PUBLIC));
}

int main(int argc, char **argv)
{
    struct object_store *store;
    struct el_error err;
    char path[1024];
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: make_archive DIR [small|parent|late]\n");
        return 2;
    }
    folder = argv[1];
    (void)snprintf(path, sizeof(path), "%s/archive", folder);
    if (dir_store_open(path, true, "make_archive", &store, &err) != 0) {
        fprintf(stderr, "make_archive: %s\n", err.text);
        return 1;
    }
    if (argc == 3 && strcmp(argv[2], "small") == 0) {
        small(store);
    } else {
        parent(store, argc == 3 && strcmp(argv[2], "late") == 0 ? LATER_MS : 0);
    }
    object_store_close(store);
    return 0;
}
