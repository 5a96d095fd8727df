/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a proof's file is that of C2SP tlog-proof, and proves one entry in one place of one tree.
 * Method: what must be refused; every byte of a file changed; every entry of a tree.
 */
#include "../../lib/test.h"
#include "../../lib/test_keys.h"

#include <core/base64.h>
#include <evlog/error.h>
#include <format/tlog_proof.h>

#include <stdio.h>
#include <string.h>

#define NAME "example.com/log"
#define ORIGIN NAME "/1"
#define SIZE 13u

static struct el_private_key *keys[EL_SIGN_KEYS_MAX];
static struct el_public_key pubs[EL_SIGN_KEYS_MAX];
static struct el_hash256 leaves[SIZE];
static struct el_buffer note;
static struct el_tlog_trust trust;

static int get(void *arg, uint32_t level, uint64_t index, struct el_hash256 *hash)
{
    (void)arg;
    el_merkle_root(&leaves[index << level], 1ull << level, hash);
    return 0;
}

static void open_log(void)
{
    struct el_hash256 root;
    size_t count = 0;
    for (uint32_t i = 0; i < SIZE; i++) {
        el_merkle_leaf(&i, sizeof(i), &leaves[i]);
    }
    el_merkle_root(leaves, SIZE, &root);
    assert_int_equal(el_private_keys_parse(el_slice_str(TEST_KEY_P256 TEST_KEY_ED25519), keys, &count, NULL), 0);
    assert_int_equal(count, 2);
    el_private_key_public(keys[0], &pubs[0]);
    el_private_key_public(keys[1], &pubs[1]);
    assert_int_equal(el_note_sign(el_slice_str(ORIGIN), SIZE, root.bytes, el_slice_str(NAME), keys, 2, &note), 0);
    trust = (struct el_tlog_trust){el_slice_str(ORIGIN), el_slice_str(NAME), pubs, 2};
}

static void close_log(void)
{
    el_private_key_free(keys[0]);
    el_private_key_free(keys[1]);
    el_buffer_free(&note);
}

static void prove(uint64_t index, struct el_slice extra, struct el_buffer *out)
{
    struct el_tlog_proof proof = {.index = index, .note = el_buffer_slice(&note)};
    assert_int_equal(el_merkle_prove(index, SIZE, get, NULL, proof.hashes, &proof.count), 0);
    assert_int_equal(el_tlog_proof_write(extra, &proof, out), 0);
}

static int parse(const char *text)
{
    struct el_tlog_proof proof;
    struct el_error err = {0};
    int rc = el_tlog_proof_parse(el_slice_str(text), &proof, &err);
    assert_true(rc == 0 || err.text[0] != '\0');
    return rc;
}

#define V1 "c2sp.org/tlog-proof@v1\n"
#define HASH "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
#define NOTE "o\n1\n" HASH "\n\xe2\x80\x94 k AAAAAAA=\n"

TEST(tlog_proof, what_is_no_proof_is_refused)
{
    static const char *const bad[] = {
        "",
        V1,
        "c2sp.org/tlog-proof@v2\nindex 1\n\n" NOTE,
        V1 "index\n\n" NOTE,
        V1 "index \n\n" NOTE,
        V1 "index 01\n\n" NOTE,
        V1 "index -1\n\n" NOTE,
        V1 "index 1 \n\n" NOTE,
        V1 "index 1000000000000000000\n\n" NOTE,
        V1 "extra AA\nindex 1\n\n" NOTE,
        V1 "extra AAAA\n\n" NOTE,
        V1 "extra AAAA\nextra AAAA\nindex 1\n\n" NOTE,
        V1 "index 1\nextra AAAA\n\n" NOTE,
        V1 "index 1\n" HASH NOTE,
        V1 "index 1\nAAAA\n\n" NOTE,
        V1 "index 1\n" HASH "\n",
        V1 "index 1\n" HASH "\n\n" NOTE,
        V1 "index 1\n" HASH "\nx" NOTE "x",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(parse(bad[i]), EVLOG_ERR_MALFORMED);
    }
    assert_int_equal(parse(V1 "index 0\n\n" NOTE), 0);
    assert_int_equal(parse(V1 "extra AAAA\nindex 999999999999999999\n" HASH HASH "\n" NOTE), 0);
}

TEST(tlog_proof, more_hashes_than_any_tree_has_are_refused)
{
    struct el_buffer text = {0};
    struct el_tlog_proof proof;
    for (size_t count = EL_MERKLE_PROOF_MAX; count <= EL_MERKLE_PROOF_MAX + 1; count++) {
        el_buffer_reset(&text);
        el_buffer_append_str(&text, V1 "index 0\n");
        for (size_t i = 0; i < count; i++) {
            el_buffer_append_str(&text, HASH);
        }
        el_buffer_append_str(&text, "\n" NOTE);
        assert_int_equal(el_tlog_proof_parse(el_buffer_slice(&text), &proof, NULL),
                         count == EL_MERKLE_PROOF_MAX ? 0 : EVLOG_ERR_MALFORMED);
    }
    el_buffer_free(&text);
}

TEST(tlog_proof, another_log_and_other_keys_are_refused)
{
    struct el_buffer text = {0};
    struct el_tlog_proof proof;
    struct el_error err;
    open_log();
    prove(3, (struct el_slice){NULL, 0}, &text);
    assert_int_equal(el_tlog_proof_parse(el_buffer_slice(&text), &proof, &err), 0);
    assert_int_equal(el_tlog_proof_verify(&proof, &leaves[3], &trust, &err), 0);
    struct el_tlog_trust other = trust;
    other.origin = el_slice_str(NAME "/2");
    assert_int_equal(el_tlog_proof_verify(&proof, &leaves[3], &other, &err), EVLOG_ERR_NOT_FOUND);
    other = trust;
    other.key_name = el_slice_str("example.com/other");
    assert_int_equal(el_tlog_proof_verify(&proof, &leaves[3], &other, &err), EVLOG_ERR_NOT_FOUND);
    other = trust;
    other.key_count = 0;
    assert_int_equal(el_tlog_proof_verify(&proof, &leaves[3], &other, &err), EVLOG_ERR_NOT_FOUND);
    for (unsigned i = 0; i < SIZE; i++) {
        assert_int_equal(el_tlog_proof_verify(&proof, &leaves[i], &trust, &err), i == 3 ? 0 : EVLOG_ERR_CORRUPT);
    }
    proof.index = 2;
    assert_int_equal(el_tlog_proof_verify(&proof, &leaves[3], &trust, &err), EVLOG_ERR_CORRUPT);
    el_buffer_free(&text);
    close_log();
}

/* With one line of signature, since a line that names another key is passed over. */
TEST(tlog_proof, no_changed_byte_passes)
{
    struct el_buffer text = {0};
    struct el_tlog_proof proof;
    struct el_hash256 root;
    struct el_error err;
    open_log();
    el_merkle_root(leaves, SIZE, &root);
    el_buffer_reset(&note);
    assert_int_equal(el_note_sign(el_slice_str(ORIGIN), SIZE, root.bytes, el_slice_str(NAME), keys + 1, 1, &note), 0);
    prove(9, el_slice_str("the entry"), &text);
    for (size_t i = 0; i < text.len; i++) {
        for (unsigned change = 1; change < 256; change *= 2) {
            text.data[i] ^= (uint8_t)change;
            int rc = el_tlog_proof_parse(el_buffer_slice(&text), &proof, &err);
            if (rc == 0) {
                rc = el_tlog_proof_verify(&proof, &leaves[9], &trust, &err);
            }
            text.data[i] ^= (uint8_t)change;
            /* nothing vouches for the extra data: who uses it makes the leaf of it */
            bool is_extra = i >= strlen(V1 "extra ") && i < strlen(V1 "extra ") + el_base64_encoded_len(9);
            assert_true(rc != 0 || is_extra);
        }
    }
    el_buffer_free(&text);
    close_log();
}

TEST(tlog_proof, every_entry_is_proven)
{
    struct el_buffer text = {0}, again = {0}, extra = {0};
    struct el_tlog_proof proof;
    struct el_error err;
    open_log();
    for (uint32_t i = 0; i < SIZE; i++) {
        uint8_t entry[SIZE] = {0};
        struct el_slice given = {i == 0 ? NULL : entry, i - (i != 0)}; /* none, nothing, 1 byte ... */
        memset(entry, 'e', sizeof(entry));
        el_buffer_reset(&text);
        el_buffer_reset(&again);
        el_buffer_reset(&extra);
        prove(i, given, &text);
        assert_int_equal(el_tlog_proof_parse(el_buffer_slice(&text), &proof, &err), 0);
        assert_int_equal(el_tlog_proof_verify(&proof, &leaves[i], &trust, &err), 0);
        assert_int_equal(proof.index, i);
        assert_int_equal(el_tlog_proof_extra(&proof, &extra), i == 0 ? EVLOG_ERR_NOT_FOUND : 0);
        assert_true(el_slice_eq(el_buffer_slice(&extra), el_slice_of(entry, given.len)));
        assert_int_equal(el_tlog_proof_write(given, &proof, &again), 0);
        assert_true(el_slice_eq(el_buffer_slice(&text), el_buffer_slice(&again)));
    }
    el_buffer_free(&text);
    el_buffer_free(&again);
    el_buffer_free(&extra);
    close_log();
}

TEST(tlog_proof, the_text_is_that_of_the_specification)
{
    struct el_tlog_proof proof = {.index = 70, .count = 2, .note = el_slice_str(NOTE)};
    struct el_buffer out = {0};
    assert_int_equal(el_tlog_proof_write(el_slice_str("foob"), &proof, &out), 0);
    assert_string_equal(el_buffer_text(&out), V1 "extra Zm9vYg==\nindex 70\n" HASH HASH "\n" NOTE);
    proof.count = EL_MERKLE_PROOF_MAX + 1;
    assert_int_equal(el_tlog_proof_write(el_slice_str("foob"), &proof, &out), EVLOG_ERR_LIMIT);
    el_buffer_free(&out);
}
