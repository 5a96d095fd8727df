/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: what is sealed opens under its key and as what it was, and nothing else does: no bit may be changed, no value
 * moved, nothing cut. Files of keys say what is wrong with them. The bytes are frozen: tests/lib/sealed_access.py opens
 * them without this code.
 */
#include "../../lib/test.h"

#include <core/crypto.h>
#include <evlog/error.h>
#include <format/access_names.h>
#include <string.h>

#define FILE_LINE "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static const uint8_t nonce[EL_AEAD_NONCE_LEN] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};

static void keys_make(struct el_access_keys *keys, uint8_t first, uint32_t count)
{
    uint8_t secret[EL_AEAD_KEY_LEN];
    keys->count = count;
    for (uint32_t i = 0; i < count; i++) {
        memset(secret, (int)(first + i), sizeof secret);
        el_access_key_init(&keys->keys[i], secret);
    }
}

struct sealed {
    uint8_t name[EL_ACCESS_SEALED_NAME_MAX], value[EL_ACCESS_SEALED_VALUE_LEN];
    size_t name_len;
};

static void seal(const struct el_access_key *key, struct el_slice name, struct el_slice value, struct sealed *s)
{
    s->name_len = el_access_sealed_name_len(name.len);
    assert_int_equal(el_access_seal_name(key, name, s->name), 0);
    assert_int_equal(el_access_seal_value(key, el_slice_of(s->name, s->name_len), nonce, value, s->value), 0);
}

static int open_it(const struct el_access_keys *keys, const struct sealed *s, struct el_access_opened *opened)
{
    return el_access_open(keys, el_slice_of(s->name, s->name_len), el_slice_of(s->value, sizeof s->value), opened);
}

static void check_hex(const void *bytes, size_t len, const char *wanted)
{
    char text[2 * EL_ACCESS_SEALED_NAME_MAX + 1];
    el_hex(text, bytes, len);
    assert_string_equal(text, wanted);
}

TEST(access_seal, bytes_are_frozen)
{
    static struct el_access_keys keys;
    struct sealed s;
    char id[EL_ACCESS_KEY_ID_TEXT];
    uint8_t digest[32];
    assert_int_equal(el_access_keys_parse(el_slice_str(FILE_LINE), &keys, NULL), 0);
    el_access_key_id_text(id, keys.keys[0].id);
    assert_string_equal(id, "c7d97d578754de0d");
    seal(&keys.keys[0], el_slice_str("a name"), el_slice_str("a value"), &s);
    check_hex(s.name, s.name_len,
              "0200c7d97d578754de0d546e271fe6e7002a3dc02acab86c5b94089db54515e49373bf8e5cd6872eef0991b2b73bf016"
              "64e878c4c6fb7d2b40ab9c5cfc13cb9284dc99b27ae701d76d2047cc16f288450d4bdcab3aae5d45c13955ad72df3661"
              "d5a0dcaa77b3");
    el_sha256(s.value, sizeof s.value, digest);
    check_hex(digest, sizeof digest, "c1d654185d8a5cdd71266cca8a65fee1b07af85ee36361d43308df029d4636f2");
}

TEST(access_seal, what_is_sealed_opens_by_any_of_the_keys_at_every_length)
{
    static struct el_access_keys keys;
    static struct el_access_opened opened;
    static uint8_t text[EL_ACCESS_NAME_MAX];
    struct sealed s, again;
    keys_make(&keys, 1, 3);
    for (size_t len = 0; len <= EL_ACCESS_NAME_MAX; len++) {
        const struct el_access_key *key = &keys.keys[len % 3];
        struct el_slice name = el_slice_of(text, len), value = el_slice_of(text, EL_MIN(len, EL_ACCESS_VALUE_MAX));
        memset(text, (int)(len % 251), sizeof text);
        seal(key, name, value, &s);
        assert_int_equal((s.name_len - EL_ACCESS_NAME_HEAD_LEN - EL_AEAD_TAG_LEN) % EL_ACCESS_NAME_UNIT, 0);
        assert_true(el_access_is_sealed(el_slice_of(s.name, s.name_len)));
        assert_true(el_access_sealed_by(el_slice_of(s.name, s.name_len), key));
        assert_false(el_access_sealed_by(el_slice_of(s.name, s.name_len), &keys.keys[(len + 1) % 3]));
        assert_int_equal(open_it(&keys, &s, &opened), 0);
        assert_true(el_slice_eq(opened.key, name) && el_slice_eq(opened.value, value));
        seal(key, name, value, &again);
        assert_memory_equal(again.name, s.name, s.name_len); /* compaction finds it */
        int code = el_access_open(&keys, el_slice_of(s.name, s.name_len), (struct el_slice){0}, &opened);
        assert_int_equal(code, 0);
        assert_null(opened.value.data);
    }
}

TEST(access_seal, names_of_one_length_class_look_alike)
{
    static struct el_access_keys keys;
    struct sealed a, b;
    keys_make(&keys, 1, 1);
    seal(&keys.keys[0], el_slice_str("al"), el_slice_str("x"), &a);
    seal(&keys.keys[0], el_slice_str("a much longer name than that"), el_slice_str("a longer value"), &b);
    assert_int_equal(a.name_len, b.name_len);
    assert_memory_not_equal(a.name + 10, b.name + 10, EL_AEAD_NONCE_LEN);
}

TEST(access_seal, no_bit_can_be_changed)
{
    static struct el_access_keys keys;
    static struct el_access_opened opened;
    struct sealed s, bad;
    keys_make(&keys, 1, 2);
    seal(&keys.keys[1], el_slice_str("alice"), el_slice_str("verifier"), &s);
    for (size_t bit = 0; bit < 8 * (s.name_len + sizeof s.value); bit++) {
        bad = s;
        size_t at = bit / 8;
        *(at < s.name_len ? &bad.name[at] : &bad.value[at - s.name_len]) ^= (uint8_t)(1u << bit % 8);
        int code = open_it(&keys, &bad, &opened);
        bool of_id = at >= 2 && at < 2 + EL_ACCESS_KEY_ID_LEN;
        bool of_version = at == 0 || at == s.name_len;
        assert_true(of_id ? code == EVLOG_ERR_NOT_FOUND
                          : code == EVLOG_ERR_CORRUPT || (of_version && code == EVLOG_ERR_FORMAT));
    }
}

TEST(access_seal, no_value_opens_behind_another_name_and_no_length_is_believed)
{
    static struct el_access_keys keys;
    static struct el_access_opened opened;
    struct sealed alice, bob;
    keys_make(&keys, 1, 1);
    seal(&keys.keys[0], el_slice_str("alice"), el_slice_str("hers"), &alice);
    seal(&keys.keys[0], el_slice_str("bob"), el_slice_str("his"), &bob);
    struct el_slice name = el_slice_of(alice.name, alice.name_len);
    assert_int_equal(el_access_open(&keys, name, el_slice_of(bob.value, sizeof bob.value), &opened), EVLOG_ERR_CORRUPT);
    for (size_t len = 0; len < sizeof alice.value; len++) {
        assert_int_equal(el_access_open(&keys, name, el_slice_of(alice.value, len), &opened), EVLOG_ERR_CORRUPT);
    }
    for (size_t len = 1; len < alice.name_len; len++) {
        int code = el_access_open(&keys, el_slice_of(alice.name, len), (struct el_slice){0}, &opened);
        assert_int_equal(code, EVLOG_ERR_CORRUPT);
    }
    uint8_t longer[EL_ACCESS_SEALED_NAME_MAX + EL_ACCESS_NAME_UNIT] = {EL_ACCESS_SEALED_VERSION};
    assert_int_equal(el_access_open(&keys, el_slice_of(longer, sizeof longer), (struct el_slice){0}, &opened),
                     EVLOG_ERR_CORRUPT);
}

TEST(access_seal, another_key_is_not_found)
{
    static struct el_access_keys keys, others;
    static struct el_access_opened opened;
    struct sealed s;
    keys_make(&keys, 1, 1);
    keys_make(&others, 2, EL_ACCESS_KEYS_MAX);
    seal(&keys.keys[0], el_slice_str("alice"), el_slice_str("verifier"), &s);
    assert_int_equal(open_it(&others, &s, &opened), EVLOG_ERR_NOT_FOUND);
    others.count = 0;
    assert_int_equal(open_it(&others, &s, &opened), EVLOG_ERR_NOT_FOUND);
}

/* --- files of keys ------------------------------------------------------------------------------------------------ */

static void refused(const char *text, int error, const char *word)
{
    static struct el_access_keys keys;
    struct el_error err = {0};
    assert_int_equal(el_access_keys_parse(el_slice_str(text), &keys, &err), error);
    if (strstr(err.text, word) == NULL) {
        fail_msg("text: %s", err.text);
    }
    assert_null(strstr(err.text, "0123456789"));
}

TEST(access_seal, a_file_that_is_none_says_why_and_shows_no_key)
{
    char many[(EL_ACCESS_KEYS_MAX + 1) * 65 + 1] = "";
    refused("", EVLOG_ERR_MALFORMED, "no key in it");
    refused("# nothing\n\n", EVLOG_ERR_MALFORMED, "no key in it");
    refused("0123456789", EVLOG_ERR_MALFORMED, "this has 10");
    refused("# a\n" FILE_LINE "\n" FILE_LINE "0\n", EVLOG_ERR_MALFORMED, "line 3");
    refused(FILE_LINE "\n0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrst\n", EVLOG_ERR_MALFORMED,
            "line 2");
    for (unsigned i = 0; i <= EL_ACCESS_KEYS_MAX; i++) {
        memcpy(many + 65 * i, FILE_LINE "\n", 65);
        many[65 * i] = (char)('0' + i % 10);
        many[65 * i + 1] = (char)('0' + i / 10);
    }
    refused(many, EVLOG_ERR_LIMIT, "more than 16");
}

TEST(access_seal, a_file_is_read_as_it_was_written)
{
    static struct el_access_keys keys, back, more;
    char text[EL_ACCESS_KEYS_TEXT_MAX];
    keys_make(&keys, 1, EL_ACCESS_KEYS_MAX);
    size_t len = el_access_keys_text(&keys, text);
    assert_true(len < sizeof text);
    assert_int_equal(el_access_keys_parse(el_slice_of(text, len), &back, NULL), 0);
    assert_int_equal(back.count, keys.count);
    assert_memory_equal(back.keys, keys.keys, sizeof keys.keys);
    assert_int_equal(el_access_keys_parse(el_slice_str(FILE_LINE "\r\n  \n" FILE_LINE "  \n"), &back, NULL), 0);
    assert_int_equal(back.count, 1);
    keys_make(&keys, 1, 3);
    keys_make(&more, 3, 2); /* the first of them is the last of those */
    assert_int_equal(el_access_keys_merge(&keys, &more), 0);
    assert_int_equal(keys.count, 4);
    assert_int_equal(keys.keys[0].secret[0], 3);
    assert_int_equal(keys.keys[1].secret[0], 4);
    assert_int_equal(keys.keys[2].secret[0], 1);
    keys_make(&more, 10, EL_ACCESS_KEYS_MAX);
    assert_int_equal(el_access_keys_merge(&keys, &more), EVLOG_ERR_LIMIT);
    assert_int_equal(keys.count, 4);
}

/* --- names in force ----------------------------------------------------------------------------------------------- */

TEST_TORTURE(access_names, are_those_whose_last_record_has_a_value)
{
    struct el_access_names names;
    uint8_t key[EL_ACCESS_SEALED_NAME_MAX] = {2, 0, 0xab, 0xcd};
    char id[EL_ACCESS_KEY_ID_TEXT];
    int code = 0;
    el_access_names_init(&names, NULL);
    for (uint32_t i = 0; i < 60 && code == 0; i++) {
        size_t len = 11 + i * 17; /* of every class */
        key[10] = (uint8_t)i;
        code = el_access_names_note(&names, el_slice_of(key, len), true, i % 2 == 0);
        code = code != 0 ? code : el_access_names_note(&names, el_slice_of(key, len), true, i % 2 == 0);
        code = code != 0 ? code : el_access_names_note(&names, el_slice_of(key, len), i % 3 != 0, i % 2 == 0);
    }
    if (!el_test_failing()) {
        assert_int_equal(code, 0);
    }
    if (code == 0) {
        assert_int_equal(el_access_names_count(&names), 40);
        assert_int_equal(names.unopened_count, 20);
        el_access_names_missing_key(&names, id);
        assert_string_equal(id, "abcd000000000000");
    }
    while (el_access_names_count(&names) > 0) {
        const struct el_access_name *name = el_access_names_at(&names, el_access_names_count(&names) - 1);
        struct el_slice bytes = el_slice_of(name->bytes, name->len);
        assert_int_equal(el_access_names_note(&names, bytes, false, name->unopened), 0);
    }
    assert_int_equal(names.unopened_count, 0);
    el_access_names_destroy(&names);
}
