/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a report says what was found, and "proven" only when that is so.
 * Method: reports made by hand; whole ones are compared by tests/archive with what others say of the same archive.
 */
#include "../../lib/test.h"

#include <evlog/error.h>
#include <store/archive_report.h>

#include <stdio.h>
#include <string.h>

#define CLUSTER "\"cluster\":\"00000000000000000000000000000000\""

static const char *json_of(const struct archive_report *report, struct el_buffer *out)
{
    el_buffer_reset(out);
    assert_int_equal(archive_report_json(report, out), 0);
    return el_buffer_text(out);
}

static const char *text_of(const struct archive_report *report, struct el_buffer *out)
{
    el_buffer_reset(out);
    archive_report_text(report, out);
    return el_buffer_text(out);
}

TEST(archive_report, what_could_not_be_opened_is_not_proven)
{
    struct archive_finding finding = {.partition = -1, .offset = -1, .byte = -1, .text = "there is no root"};
    struct archive_report report = {.findings = &finding, .finding_count = 1, .finding_total = 1};
    struct el_buffer out = {0};
    assert_non_null(
        strstr(json_of(&report, &out), "\"proven\":false,\"cluster\":null,\"incarnation\":null,\"root\":null"));
    assert_non_null(strstr(json_of(&report, &out),
                           "\"failures\":[{\"object\":null,\"topic\":null,\"partition\":null,\"offset\":null,"
                           "\"byte\":null,\"text\":\"there is no root\"}],\"failure_count\":1}\n"));
    assert_string_equal(text_of(&report, &out),
                        "FAILED archive: there is no root\nnot proven: no root could be opened\n");
    el_buffer_free(&out);
}

TEST(archive_report, failures_name_object_byte_and_offset)
{
    struct archive_finding finding = {
        .object = "a/seg/1", .topic = "orders", .partition = 3, .offset = 17, .byte = 4096, .text = "it is another"};
    struct archive_report report = {.findings = &finding, .finding_count = 1, .finding_total = 5};
    struct el_buffer out = {0};
    report.root.sequence = 9;
    assert_non_null(strstr(json_of(&report, &out), "{\"object\":\"a/seg/1\",\"topic\":\"orders\",\"partition\":3,"
                                                   "\"offset\":17,\"byte\":4096,\"text\":\"it is another\"}"));
    const char *text = text_of(&report, &out);
    assert_non_null(
        strstr(text, "FAILED a/seg/1, byte 4096 (orders/3, offset 17): it is another\nand 4 failures more\n"));
    assert_non_null(strstr(text, "not proven: root 9 of "));
    el_buffer_free(&out);
}

TEST(archive_report, gaps_and_what_no_root_covers_are_told)
{
    struct archive_gap gaps[25] = {{.partition = 1, .first_offset = 5, .end_offset = 9}};
    struct archive_report report = {.proven = true, .gaps = gaps, .gap_count = 25, .gap_total = 30, .orphans = 2};
    struct el_buffer out = {0};
    report.root.sequence = 9;
    report.since_sequence = 4;
    const char *json = json_of(&report, &out);
    assert_non_null(strstr(json, "{\"proven\":true," CLUSTER));
    assert_non_null(strstr(json, "\"since\":4"));
    assert_non_null(strstr(
        json, "\"gaps\":[{\"topic\":\"00000000000000000000000000000000\",\"partition\":1,\"first\":5,\"end\":9},"));
    assert_non_null(strstr(json, "\"gap_count\":30"));
    const char *text = text_of(&report, &out);
    assert_non_null(strstr(text, "/1: offsets 5 to 8 were never archived\n"));
    assert_non_null(
        strstr(text, "and 10 gaps more\n2 objects are not covered by a root and do not count\nproven: root 9 of "));
    assert_non_null(strstr(text, "it has grown out of root 4, which was given\n"));
    el_buffer_free(&out);
}

TEST_TORTURE(archive_report, short_memory_is_reported)
{
    struct archive_report report = {.proven = true};
    struct el_buffer out = {0};
    int rc = archive_report_json(&report, &out);
    assert_true(rc == 0 || (el_test_failing() && rc == EVLOG_ERR_NO_MEMORY));
    el_buffer_free(&out);
}
