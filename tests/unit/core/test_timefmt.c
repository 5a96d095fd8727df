/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a time means one moment or is refused with words that help; nothing is rounded or guessed.
 * Method: refusals first; the calendar against gmtime_r() over the whole range; format and parse as a round trip.
 */
#include "../../lib/test.h"

#include <core/rng.h>
#include <core/timefmt.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

#define S 1000000000ll

static const int64_t now_ns = 1772366400ll * S + 123456789; /* 2026-03-01T12:00:00.123456789Z */

TEST(timefmt, what_is_no_time_is_refused)
{
    static const char *const bad[] = {
        "",
        " ",
        "2026",
        "2026-03-01",
        "2026-03-01T12:00:00",
        "2026-03-01T12:00",
        "2026-03-01 12:00",
        "2026-03-01T12:00:00 Z",
        "2026-03-01T12:00:00ZZ",
        "2026-03-01T12:00:00Z ",
        " 2026-03-01T12:00:00Z",
        "2026-3-1T12:00:00Z",
        "26-03-01T12:00:00Z",
        "2026-13-01T12:00:00Z",
        "2026-00-01T12:00:00Z",
        "2026-02-29T12:00:00Z",
        "2026-02-30T12:00:00Z",
        "2026-04-31T12:00:00Z",
        "2026-03-00T12:00:00Z",
        "2026-03-32T12:00:00Z",
        "1900-02-29T12:00:00Z",
        "2026-03-01T24:00:00Z",
        "2026-03-01T12:60:00Z",
        "2026-03-01T12:00:60Z",
        "2026-03-01T12:00:00.Z",
        "2026-03-01T12:00:00.1234567890Z",
        "2026-03-01T12:00.5Z",
        "2026-03-01T12:00:00+02",
        "2026-03-01T12:00:00+0200",
        "2026-03-01T12:00:00+24:00",
        "2026-03-01T12:00:00+02:60",
        "2026-03-01T12:00:00+02:00Z",
        "2026/03/01T12:00:00Z",
        "+2026-03-01T12:00:00Z",
        "1677-09-20T00:00:00Z",
        "2262-04-12T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "0000-01-01T00:00:00Z",
        "-",
        "-1",
        "-h",
        "-1x",
        "-1.5h",
        "--1h",
        "-1h ",
        "-99999999999999999999s",
        "-9223372036854775807d",
        "@",
        "@x",
        "@1.5",
        "@-",
        "@--1",
        "@9223372036854775808",
        "@9223372036854776",
        "Now",
        "now ",
        "today",
        "today ",
        "today 25:00",
        "today 14",
        "today 14:00Z",
        "yesterday",
        "yesterday 14:00 ",
        "tomorrow 14:00",
        "1h",
        "1772366400",
        "2026-03-01T1a:00:00Z",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int64_t ns = 77;
        struct el_error err = {0};
        assert_int_equal(el_time_parse(bad[i], now_ns, &ns, &err), EVLOG_ERR_ARGUMENT);
        assert_int_equal(ns, 77);
        assert_int_equal(err.code, EVLOG_ERR_ARGUMENT);
        assert_non_null(strstr(err.text, "2026-03-01T12:00:00Z"));
        assert_non_null(strstr(err.text, "yesterday 14:00"));
    }
}

static void check_time(const char *text, int64_t expected)
{
    int64_t ns = 0;
    assert_int_equal(el_time_parse(text, now_ns, &ns, NULL), 0);
    assert_true(ns == expected);
}

TEST(timefmt, every_form_of_time_is_understood)
{
    int64_t noon = 1772366400ll * S;
    check_time("2026-03-01T12:00:00Z", noon);
    check_time("2026-03-01T12:00Z", noon);
    check_time("2026-03-01t12:00:00z", noon);
    check_time("2026-03-01 12:00:00Z", noon);
    check_time("2026-03-01T14:00:00+02:00", noon);
    check_time("2026-03-01T06:30:00-05:30", noon);
    check_time("2026-03-01T12:00:00-00:00", noon);
    check_time("2026-03-02T00:00:00+12:00", noon);
    check_time("2026-03-01T12:00:00.5Z", noon + S / 2);
    check_time("2026-03-01T12:00:00.123456789Z", noon + 123456789);
    check_time("2024-02-29T00:00:00Z", 1709164800ll * S);
    check_time("2000-02-29T00:00:00Z", 951782400ll * S);
    check_time("1970-01-01T00:00:00Z", 0);
    check_time("1969-12-31T23:59:59.999999999Z", -1);
    check_time("2262-04-11T23:47:16.854775807Z", INT64_MAX);
    check_time("1677-09-21T00:12:43.145224192Z", INT64_MIN);
    check_time("now", now_ns);
    check_time("-1h", now_ns - 3600 * S);
    check_time("-250ms", now_ns - S / 4);
    check_time("-7d", now_ns - 7 * 86400 * S);
    check_time("-0s", now_ns);
    check_time("@1772366400000", noon);
    check_time("@0", 0);
    check_time("@-1", -1000000);
    check_time("today 14:00", noon + 7200 * S);
    check_time("today 00:00:00.25", noon - 43200 * S + S / 4);
    check_time("yesterday 14:00", noon + 7200 * S - 86400 * S);
}

TEST(timefmt, calendar_equals_the_c_librarys)
{
    struct el_rng rng;
    el_rng_seed(&rng, 9);
    for (int i = 0; i < 20000; i++) {
        int64_t ns = (int64_t)el_rng_next(&rng);
        time_t seconds = ns / S - (ns % S < 0);
        struct tm tm;
        char expected[64], text[40];
        int64_t back = 0;
        assert_non_null(gmtime_r(&seconds, &tm));
        (void)snprintf(expected, sizeof(expected), "%04d-%02d-%02dT%02d:%02d:%02d.%09dZ", tm.tm_year + 1900,
                       tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(ns - seconds * S));
        el_time_format(text, ns, 9);
        assert_string_equal(text, expected);
        assert_int_equal(el_time_parse(text, 0, &back, NULL), 0);
        assert_true(back == ns);
    }
}

TEST(timefmt, format_cuts_and_never_rounds_up)
{
    char text[40];
    el_time_format(text, now_ns, 0);
    assert_string_equal(text, "2026-03-01T12:00:00Z");
    el_time_format(text, now_ns, 3);
    assert_string_equal(text, "2026-03-01T12:00:00.123Z");
    el_time_format(text, 1999999999, 3);
    assert_string_equal(text, "1970-01-01T00:00:01.999Z");
    el_time_format(text, -1, 3);
    assert_string_equal(text, "1969-12-31T23:59:59.999Z");
    el_time_format(text, INT64_MIN, 9);
    assert_string_equal(text, "1677-09-21T00:12:43.145224192Z");
    el_time_format(text, INT64_MAX, 9);
    assert_string_equal(text, "2262-04-11T23:47:16.854775807Z");
}

TEST(timefmt, durations)
{
    static const struct {
        const char *text;
        int64_t ms;
    } rows[] = {{"250ms", 250}, {"0", 0},        {"17", 17},        {"30s", 30000},
                {"5m", 300000}, {"1h", 3600000}, {"7d", 604800000}, {"-1", -1}};
    static const char *const bad[] = {
        "", "-2", "-1ms", "1.5s", "5 m", "m", "5M", "5min", "1h30m", "99999999999999999d", "+1"};
    int64_t ms = 0;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(el_duration_parse(rows[i].text, &ms, NULL), 0);
        assert_true(ms == rows[i].ms);
    }
    ms = 77;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct el_error err = {0};
        assert_int_equal(el_duration_parse(bad[i], &ms, &err), EVLOG_ERR_ARGUMENT);
        assert_non_null(strstr(err.text, "250ms"));
        assert_int_equal(ms, 77);
    }
}

TEST(timefmt, sizes)
{
    static const struct {
        const char *text;
        uint64_t len;
    } rows[] = {{"4096", 4096},
                {"0", 0},
                {"1B", 1},
                {"1KiB", 1024},
                {"1KB", 1000},
                {"1kB", 1000},
                {"64MiB", 64u << 20},
                {"1GB", 1000000000},
                {"3GiB", 3ull << 30},
                {"2TiB", 2ull << 40}};
    static const char *const bad[] = {
        "", "M", "64M", "1G", "1.5GiB", "1 GiB", "-1", "+1", "1gib", "9223372036854775807KiB", "0x10"};
    uint64_t len = 0;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(el_size_parse(rows[i].text, &len, NULL), 0);
        assert_true(len == rows[i].len);
    }
    len = 77;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct el_error err = {0};
        assert_int_equal(el_size_parse(bad[i], &len, &err), EVLOG_ERR_ARGUMENT);
        assert_non_null(strstr(err.text, "64MiB"));
        assert_true(len == 77);
    }
}
