/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: notes are those of C2SP signed-note and tlog-checkpoint, and no changed byte of one passes.
 * Method: what must be refused; a note that others published; every byte of a note changed.
 */
#include "../../lib/test.h"
#include "../../lib/test_keys.h"

#include <evlog/error.h>
#include <format/note.h>

#include <stdio.h>
#include <string.h>

#define NAME "evlog/01234567890123456789012345678901"
#define ORIGIN NAME "/root"
#define DASH "\xe2\x80\x94"
#define TEXT ORIGIN "\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"

static struct el_private_key *keys[EL_SIGN_KEYS_MAX];
static struct el_public_key pubs[EL_SIGN_KEYS_MAX];
static size_t key_count;

static void open_keys(void)
{
    struct el_error err;
    assert_int_equal(el_private_keys_parse(el_slice_str(TEST_KEY_P256 TEST_KEY_ED25519), keys, &key_count, &err), 0);
    assert_int_equal(key_count, 2);
    for (size_t i = 0; i < key_count; i++) {
        el_private_key_public(keys[i], &pubs[i]);
    }
}

static void close_keys(void)
{
    for (size_t i = 0; i < key_count; i++) {
        el_private_key_free(keys[i]);
    }
}

static int parse(const char *note)
{
    struct el_checkpoint_note out;
    return el_note_parse(el_slice_str(note), &out);
}

static int verify(struct el_slice note, size_t count, bool *matched)
{
    return el_note_verify(note, el_slice_str(NAME), pubs, count, matched);
}

TEST(note, what_is_no_checkpoint_is_refused)
{
    static const char root[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    static const char *const texts[] = {
        "",              /* no lines */
        "o\n",           /* too few */
        "o\n1\n",        /* too few */
        "\n1\nROOT\n",   /* no origin */
        "o\n\nROOT\n",   /* no size */
        "o\n01\nROOT\n", /* zero in front */
        "o\n-1\nROOT\n", /* sign */
        "o\n+1\nROOT\n", /* sign */
        "o\n1 \nROOT\n", /* blank */
        "o\n9223372036854775808\nROOT\n",
        "o\n99999999999999999999\nROOT\n",
        "o\n1\nAAAA\n",                                         /* root too short */
        "o\n1\nROOTAAAA\n",                                     /* too long */
        "o\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=\n", /* unused bits */
        "o\n1\nROOT\n\nmore\n",                                 /* empty line inside */
        "o\r\n1\nROOT\n",                                       /* control character */
        "o\t\n1\nROOT\n",                                       /* the same */
        "\xff\n1\nROOT\n",                                      /* no UTF-8 */
    };
    char note[512], text[256];
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        const char *at = strstr(texts[i], "ROOT");
        (void)snprintf(text, sizeof(text), "%.*s%s%s", (int)(at == NULL ? strlen(texts[i]) : (size_t)(at - texts[i])),
                       texts[i], at == NULL ? "" : root, at == NULL ? "" : at + 4);
        (void)snprintf(note, sizeof(note), "%s\n" DASH " k AAAAAAA=\n", text);
        assert_int_equal(parse(note), EVLOG_ERR_MALFORMED);
    }
    assert_int_equal(parse(TEXT "\n" DASH " k AAAAAAA=\n"), 0);
    assert_int_equal(parse(TEXT "\n" DASH " k AAAAAAA="), EVLOG_ERR_MALFORMED);
    assert_int_equal(parse(TEXT DASH " k AAAAAAA=\n"), EVLOG_ERR_MALFORMED);
    assert_int_equal(parse(TEXT "\n"), EVLOG_ERR_MALFORMED);
    assert_int_equal(parse("\n\n\n"), EVLOG_ERR_MALFORMED);
    assert_int_equal(parse("\n\n\n\n\n"), EVLOG_ERR_MALFORMED);
}

/* A line that nobody asked for must still be one. */
TEST(note, bad_signature_lines_are_refused)
{
    static const char *const lines[] = {
        "x\n",
        DASH "k AAAAAAA=\n",
        DASH " k\n",
        DASH " k AAAA\n",
        DASH " k AAAAAA==\n",
        DASH "  AAAAAAA=\n",
        DASH " k  AAAAAAA=\n",
        DASH " k AAAAAAA= \n",
        DASH " k AAAAAAB=\n",
        DASH " k AAAAAAA\n",
        DASH " k+ AAAAAAA=\n",
        "- k AAAAAAA=\n",
        DASH " k\xc2\xa0 AAAAAAA=\n",
        DASH " k\xe2\x80\xa8k AAAAAAA=\n",
    };
    struct el_buffer note = {0};
    open_keys();
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        el_buffer_reset(&note);
        assert_int_equal(el_note_sign_text(el_slice_str(TEXT), el_slice_str(NAME), keys, 2, &note), 0);
        assert_int_equal(verify(el_buffer_slice(&note), 2, NULL), 0);
        el_buffer_append_str(&note, lines[i]);
        assert_int_equal(verify(el_buffer_slice(&note), 2, NULL), EVLOG_ERR_MALFORMED);
    }
    el_buffer_free(&note);
    close_keys();
}

TEST(note, what_may_not_be_signed_is_refused)
{
    struct el_buffer note = {0};
    const uint8_t root[32] = {0};
    char longest[EL_NOTE_ORIGIN_MAX + 2];
    static const char *const names[] = {"", "a b", "a+b", "a\n", "\xc2\xa0", "\xff", "\xe3\x80\x80"};
    open_keys();
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(el_note_sign(el_slice_str(ORIGIN), 1, root, el_slice_str(names[i]), keys, 2, &note),
                         EVLOG_ERR_ARGUMENT);
    }
    assert_int_equal(el_note_sign(el_slice_str(""), 1, root, el_slice_str(NAME), keys, 2, &note), EVLOG_ERR_ARGUMENT);
    assert_int_equal(el_note_sign(el_slice_str("a\nb"), 1, root, el_slice_str(NAME), keys, 2, &note),
                     EVLOG_ERR_ARGUMENT);
    assert_int_equal(el_note_sign(el_slice_str(ORIGIN), 1ull << 63, root, el_slice_str(NAME), keys, 2, &note),
                     EVLOG_ERR_ARGUMENT);
    assert_int_equal(el_note_sign(el_slice_str(ORIGIN), 1, root, el_slice_str(NAME), keys, 0, &note),
                     EVLOG_ERR_ARGUMENT);
    assert_int_equal(el_note_sign_text(el_slice_str("no line feed"), el_slice_str(NAME), keys, 2, &note),
                     EVLOG_ERR_ARGUMENT);
    memset(longest, 'o', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(el_note_sign(el_slice_str(longest), 1, root, el_slice_str(NAME), keys, 2, &note),
                     EVLOG_ERR_ARGUMENT);
    assert_int_equal(note.len, 0);
    assert_int_equal(
        el_note_sign(el_slice_str(longest + 1), INT64_MAX, root, el_slice_str(longest + 1), keys, 2, &note), 0);
    el_buffer_free(&note);
    close_keys();
}

TEST(note, no_changed_byte_passes)
{
    struct el_buffer note = {0};
    struct el_checkpoint_note out;
    const uint8_t root[32] = {7};
    bool matched[2];
    open_keys();
    assert_int_equal(el_note_sign(el_slice_str(ORIGIN), 12345, root, el_slice_str(NAME), keys, 2, &note), 0);
    assert_int_equal(el_note_parse(el_buffer_slice(&note), &out), 0);
    for (size_t i = 0; i < note.len; i++) {
        for (unsigned change = 1; change < 256; change = change * 2 + (change == 4)) {
            note.data[i] ^= (uint8_t)change;
            int rc = verify(el_buffer_slice(&note), 2, matched);
            note.data[i] ^= (uint8_t)change;
            /* A line whose name or key hash was changed is somebody else's: the other one still speaks. */
            assert_true(rc != 0 || (i >= out.text.len && (!matched[0] || !matched[1])));
        }
    }
    for (size_t len = 0; len < note.len; len++) {
        int rc = verify(el_slice_of(note.data, len), 2, matched);
        assert_true(rc != 0 || !matched[1]); /* without its last line it is a note, with one signer */
    }
    el_buffer_free(&note);
    close_keys();
}

TEST(note, a_known_key_with_a_wrong_signature_spoils_the_note)
{
    struct el_buffer note = {0}, other = {0};
    bool matched[2];
    open_keys();
    assert_int_equal(el_note_sign_text(el_slice_str(TEXT), el_slice_str(NAME), keys, 1, &note), 0);
    assert_int_equal(el_note_sign_text(el_slice_str("other\n"), el_slice_str(NAME), keys + 1, 1, &other), 0);
    el_buffer_append(&note, other.data + strlen("other\n\n"), other.len - strlen("other\n\n"));
    assert_int_equal(verify(el_buffer_slice(&note), 2, matched), EVLOG_ERR_CORRUPT);
    assert_int_equal(verify(el_buffer_slice(&note), 1, matched), 0); /* who does not know the key passes over it */
    assert_true(matched[0]);
    assert_int_equal(el_note_verify(el_buffer_slice(&note), el_slice_str("other"), pubs, 2, matched),
                     EVLOG_ERR_NOT_FOUND);
    assert_false(matched[0]);
    assert_int_equal(verify(el_buffer_slice(&note), 0, NULL), EVLOG_ERR_NOT_FOUND);
    el_buffer_free(&note);
    el_buffer_free(&other);
    close_keys();
}

TEST(note, a_note_of_too_many_lines_or_bytes_is_refused)
{
    struct el_buffer note = {0};
    open_keys();
    assert_int_equal(el_note_sign_text(el_slice_str(TEXT), el_slice_str(NAME), keys, 1, &note), 0);
    for (size_t i = 1; i < EL_NOTE_LINES_MAX; i++) {
        el_buffer_append_str(&note, DASH " k AAAAAAA=\n");
    }
    assert_int_equal(verify(el_buffer_slice(&note), 1, NULL), 0);
    el_buffer_append_str(&note, DASH " k AAAAAAA=\n");
    assert_int_equal(verify(el_buffer_slice(&note), 1, NULL), EVLOG_ERR_MALFORMED);
    el_buffer_reset(&note);
    memset(el_buffer_room(&note, EL_NOTE_LEN_MAX - 1), 'x', EL_NOTE_LEN_MAX - 1);
    el_buffer_append_str(&note, "\n");
    struct el_slice text = {note.data, note.len};
    struct el_buffer out = {0};
    assert_int_equal(el_note_sign_text(text, el_slice_str(NAME), keys, 1, &out), EVLOG_ERR_LIMIT);
    assert_int_equal(verify(el_buffer_slice(&out), 1, NULL), EVLOG_ERR_MALFORMED);
    el_buffer_free(&out);
    el_buffer_free(&note);
    close_keys();
}

TEST(note, parts_are_found_and_further_lines_kept)
{
    struct el_buffer note = {0};
    struct el_checkpoint_note out;
    const uint8_t root[32] = {1, 2, 3};
    bool matched[2] = {false, false};
    open_keys();
    assert_int_equal(el_note_sign(el_slice_str(ORIGIN), 70000, root, el_slice_str(NAME), keys, 2, &note), 0);
    assert_int_equal(el_note_parse(el_buffer_slice(&note), &out), 0);
    assert_true(el_slice_eq(out.origin, el_slice_str(ORIGIN)));
    assert_int_equal(out.size, 70000);
    assert_memory_equal(out.root, root, 32);
    assert_int_equal(out.more.len, 0);
    assert_int_equal(verify(el_buffer_slice(&note), 2, matched), 0);
    assert_true(matched[0]);
    assert_true(matched[1]);
    el_buffer_reset(&note);
    assert_int_equal(el_note_sign_text(el_slice_str(TEXT "more 1\nmore 2\n"), el_slice_str(NAME), keys, 2, &note), 0);
    assert_int_equal(el_note_parse(el_buffer_slice(&note), &out), 0);
    assert_true(el_slice_eq(out.more, el_slice_str("more 1\nmore 2\n")));
    assert_true(el_slice_eq(out.text, el_slice_str(TEXT "more 1\nmore 2\n")));
    assert_int_equal(out.size, 7);
    el_buffer_free(&note);
    close_keys();
}

/* A text may have empty lines: the last one ends it. */
TEST(note, any_text_can_be_signed)
{
    struct el_buffer note = {0};
    open_keys();
    assert_int_equal(el_note_sign_text(el_slice_str("\nreport\n\nrows: 7\n\n"), el_slice_str(NAME), keys, 2, &note), 0);
    assert_int_equal(verify(el_buffer_slice(&note), 2, NULL), 0);
    assert_int_equal(verify(el_slice_of(note.data + 1, note.len - 1), 2, NULL), EVLOG_ERR_CORRUPT);
    el_buffer_free(&note);
    close_keys();
}

/* The example of Go's golang.org/x/mod/sumdb/note. */
TEST(note, equals_the_published_example)
{
    static const char text[] = "If you think cryptography is the answer to your problem,\n"
                               "then you don't know what your problem is.\n";
    static const char line[] = DASH " PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKv"
                                    "qfqdngotpRZb6KE6RyyBwJnAM=\n";
    static const char vkey[] = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    static const uint8_t public[32] = {0x1a, 0x5c, 0xd9, 0x07, 0x14, 0x3c, 0x38, 0x4c, 0x41, 0xe8, 0x30,
                                       0xc5, 0xbc, 0xe1, 0x2a, 0xa8, 0x81, 0x7e, 0xc5, 0x64, 0x9a, 0xaa,
                                       0xbf, 0x2c, 0x31, 0x38, 0x8b, 0x35, 0xb2, 0xd7, 0x44, 0xd6};
    struct el_public_key pub = {.kind = EL_SIGN_ED25519, .len = 32};
    struct el_slice name = el_slice_str("PeterNeumann");
    char note[512], found[128];
    memcpy(pub.bytes, public, 32);
    assert_int_equal(el_note_vkey(name, &pub, found, sizeof(found)), 0);
    assert_string_equal(found, vkey);
    assert_int_equal(el_note_vkey(name, &pub, found, sizeof(vkey) - 1), EVLOG_ERR_LIMIT);
    assert_int_equal(el_note_vkey(el_slice_str("a b"), &pub, found, sizeof(found)), EVLOG_ERR_ARGUMENT);
    (void)snprintf(note, sizeof(note), "%s\n%s", text, line);
    assert_int_equal(el_note_verify(el_slice_str(note), name, &pub, 1, NULL), 0);
}

/* The hash of an ECDSA key is that of its SubjectPublicKeyInfo alone: SHA-256 by openssl. */
TEST(note, key_hash_of_ecdsa_does_not_depend_on_the_name)
{
    uint8_t a[4], b[4];
    open_keys();
    el_note_key_hash(el_slice_str("a"), &pubs[0], a);
    el_note_key_hash(el_slice_str("b"), &pubs[0], b);
    assert_memory_equal(a, b, 4);
    assert_memory_equal(a, "\x42\xe4\x28\x6a", 4);
    el_note_key_hash(el_slice_str("a"), &pubs[1], a);
    el_note_key_hash(el_slice_str("b"), &pubs[1], b);
    assert_memory_not_equal(a, b, 4);
    close_keys();
}

TEST_TORTURE(note, short_memory_is_reported)
{
    struct el_buffer note = {0};
    const uint8_t root[32] = {0};
    struct el_private_key *pair[EL_SIGN_KEYS_MAX];
    size_t count = 0;
    int rc = el_private_keys_parse(el_slice_str(TEST_KEY_ED25519), pair, &count, NULL);
    if (rc == 0) {
        rc = el_note_sign(el_slice_str(ORIGIN), 1, root, el_slice_str(NAME), pair, 1, &note);
        el_private_key_free(pair[0]);
    }
    assert_true(rc == 0 || (el_test_failing() && rc == EVLOG_ERR_NO_MEMORY));
    el_buffer_free(&note);
}
