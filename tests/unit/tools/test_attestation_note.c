/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: of an attestation nothing is believed that is not there, and each line that differs is named.
 */
#include "../../../tools/evlog/attestation_note.h"
#include "test.h"

#include <evlog/error.h>
#include <stdio.h>
#include <string.h>

#define ID "00112233445566778899aabbccddeeff"
#define ORIGIN "evlog/" ID "/attest\n"
#define ARCHIVE "archive " ID "\n"
#define ROOT "root 17 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
#define TOPIC "topic " ID " orders\n"
#define UNTIL "until 2026-03-31T23:59:59.999999999Z\n"
#define REST "events 3 abc\ntable 0 def \"t\"\nmade by evlog 1\n"
#define TEXT ORIGIN ARCHIVE ROOT TOPIC UNTIL REST

static int text_of(const char *note)
{
    struct el_slice text;
    return attestation_note_text(el_slice_str(note), &text);
}

static int read_of(const char *text)
{
    struct attestation_said said;
    return attestation_note_read(el_slice_str(text), &said);
}

TEST(attestation_note, what_is_none_is_refused)
{
    assert_int_equal(text_of(""), EVLOG_ERR_MALFORMED);
    assert_int_equal(text_of("evlog/" ID "/attest"), EVLOG_ERR_MALFORMED);
    assert_int_equal(text_of("evlog/" ID "/root\n17\n"), EVLOG_ERR_MALFORMED);
    assert_int_equal(text_of("evlog/" ID "X/attest\n"), EVLOG_ERR_MALFORMED);
    assert_int_equal(text_of("evlog/00112233445566778899AABBCCDDEEFF/attest\n\nline\n"), EVLOG_ERR_MALFORMED);
    assert_int_equal(text_of(TEXT "\n"), EVLOG_ERR_NOT_FOUND);
}

TEST(attestation_note, what_is_missing_or_makes_no_sense_is_refused)
{
    assert_int_equal(read_of(ORIGIN ROOT TOPIC UNTIL), EVLOG_ERR_MALFORMED);
    assert_int_equal(read_of(ORIGIN ARCHIVE TOPIC UNTIL), EVLOG_ERR_MALFORMED);
    assert_int_equal(read_of(ORIGIN ARCHIVE ROOT UNTIL), EVLOG_ERR_MALFORMED);
    assert_int_equal(read_of(ORIGIN ARCHIVE ROOT TOPIC), EVLOG_ERR_MALFORMED);
    assert_int_equal(read_of(ORIGIN "archive x\n" ROOT TOPIC UNTIL), EVLOG_ERR_MALFORMED);
    assert_int_equal(read_of(ORIGIN "archive " ID "0\n" ROOT TOPIC UNTIL), EVLOG_ERR_MALFORMED);
    assert_int_equal(read_of(ORIGIN ARCHIVE "root 0 A\n" TOPIC UNTIL), EVLOG_ERR_MALFORMED);
    assert_int_equal(read_of(ORIGIN ARCHIVE "root -1 A\n" TOPIC UNTIL), EVLOG_ERR_MALFORMED);
    assert_int_equal(read_of(ORIGIN ARCHIVE "root 9223372036854775808 A\n" TOPIC UNTIL), EVLOG_ERR_MALFORMED);
    assert_int_equal(read_of(ORIGIN ARCHIVE ROOT "topic " ID "\n" UNTIL), EVLOG_ERR_MALFORMED);
    assert_int_equal(read_of(ORIGIN ARCHIVE ROOT TOPIC "until -1h\n"), EVLOG_ERR_MALFORMED);
    assert_int_equal(read_of(ORIGIN ARCHIVE ROOT TOPIC "until 2026-03-31T23:59:59.999999999Z"), EVLOG_ERR_MALFORMED);
}

TEST(attestation_note, says_what_it_takes_to_make_it_again)
{
    struct attestation_said said;
    struct el_slice text, note = el_slice_str(TEXT "\n\xe2\x80\x94 name AAAA\n");
    assert_int_equal(attestation_note_text(note, &text), 0);
    assert_int_equal(text.len, strlen(TEXT));
    assert_int_equal(attestation_note_read(text, &said), 0);
    assert_string_equal(said.topic, "orders");
    assert_string_equal(said.incarnation, ID);
    assert_int_equal(said.root, 17);
    assert_int_equal(said.until_ns, 1775001599999999999);
}

TEST(attestation_note, names_the_first_line_that_differs)
{
    struct attestation_difference d;
    struct el_slice text = el_slice_str(TEXT);
    assert_false(attestation_note_differs(text, text, true, &d));
    assert_false(attestation_note_differs(text, el_slice_str(ORIGIN ARCHIVE), false, &d));
    assert_false(
        attestation_note_differs(el_slice_str("a\nmade by evlog 1\n"), el_slice_str("a\nmade by evlog 2\n"), true, &d));
    assert_true(attestation_note_differs(text, el_slice_str(ORIGIN ARCHIVE), true, &d));
    assert_int_equal(d.line, 3);
    assert_int_equal(d.ours.len, 0);
    assert_true(attestation_note_differs(el_slice_str(ORIGIN), el_slice_str(ORIGIN ARCHIVE), false, &d));
    assert_int_equal(d.line, 2);
    assert_int_equal(d.theirs.len, 0);
    assert_true(attestation_note_differs(text, el_slice_str(ORIGIN ROOT), false, &d));
    assert_int_equal(d.line, 2);
}
