/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a configuration file means what it looks like, and a fault is named by line and column. Method: small
 * texts, the entries written down as one line each.
 */
#include <config/ini.h>

#include "../../lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct seen {
    char text[4096];
    size_t count;
    int result;
};

static int on_entry(void *arg, const struct ini_entry *entry, struct el_error *err)
{
    struct seen *seen = arg;
    size_t used = strlen(seen->text);
    snprintf(seen->text + used, sizeof seen->text - used, "%u:%u:%u %.*s/%.*s=<%.*s>\n", entry->line, entry->key_column,
             entry->value_column, (int)entry->section.len, (const char *)entry->section.data, (int)entry->key.len,
             (const char *)entry->key.data, (int)entry->value.len, (const char *)entry->value.data);
    seen->count++;
    return seen->result;
}

static void assert_refused(const char *text, const char *said)
{
    struct seen seen = {.count = 0};
    struct el_error err = {.code = 0};
    assert_int_equal(ini_parse("f", text, strlen(text), on_entry, &seen, &err), EVLOG_ERR_INVALID_CONFIG);
    if (strncmp(err.text, said, strlen(said)) != 0) {
        fail_msg("\"%s\" does not begin with \"%s\"", err.text, said);
    }
}

static void assert_entries(const char *text, const char *entries)
{
    struct seen seen = {.count = 0};
    struct el_error err = {.code = 0};
    assert_int_equal(ini_parse("f", text, strlen(text), on_entry, &seen, &err), 0);
    assert_string_equal(seen.text, entries);
}

TEST(ini, faults_are_named_by_line_and_column)
{
    assert_refused("a = 1\n", "f:1:1: a setting stands in a section");
    assert_refused("[s]\n\n  hello\n", "f:3:3: expected 'key = value'");
    assert_refused("[s\n", "f:1:1: a section is written [name]");
    assert_refused("[]\n", "f:1:1: a section name");
    assert_refused("[a b]\n", "f:1:1: a section name");
    assert_refused("[s] a = 1\n", "f:1:4: a setting begins on a line of its own");
    assert_refused("[s]\n= 1\n", "f:2:1: a key is made of");
    assert_refused("[s]\na b = 1\n", "f:2:1: a key is made of");
    assert_refused("[s]\na = \"x\n", "f:2:5: the closing '\"' is missing");
    assert_refused("[s]\na = \"x\" y\n", "f:2:8: only a comment may follow");
    assert_refused("[s]\na = x\001y\n", "f:2:6: control characters");
    assert_refused("[s]\r\ra = 1\n", "f:1:4: control characters");
}

TEST(ini, nul_byte_is_refused)
{
    struct seen seen = {.count = 0};
    struct el_error err;
    assert_int_equal(ini_parse("f", "[s]\na=\0\n", 8, on_entry, &seen, &err), EVLOG_ERR_INVALID_CONFIG);
    assert_string_equal(err.text, "f:2:3: control characters are not allowed");
    assert_int_equal(seen.count, 0);
}

TEST(ini, what_the_callback_returns_ends_it)
{
    struct seen seen = {.result = EVLOG_ERR_POLICY};
    assert_int_equal(ini_parse("f", "[s]\na=1\nb=2\n", 12, on_entry, &seen, NULL), EVLOG_ERR_POLICY);
    assert_int_equal(seen.count, 1);
}

TEST(ini, entries_come_in_order_with_their_places)
{
    assert_entries("", "");
    assert_entries("# nothing\n\n ; at all", "");
    assert_entries("[one]\na = 1\n  b.c-d_e=2\n[two] # x\na=3",
                   "2:1:5 one/a=<1>\n3:3:11 one/b.c-d_e=<2>\n5:1:3 two/a=<3>\n");
    assert_entries("\xef\xbb\xbf[s]\r\na = 1\r\n", "2:1:5 s/a=<1>\n");
    assert_entries("[ s ]\na=\n", "2:1:3 s/a=<>\n");
}

TEST(ini, comments_need_a_blank_before_them)
{
    assert_entries("[s]\na = x#y ;z # no\n", "2:1:5 s/a=<x#y>\n");
    assert_entries("[s]\na = # empty\n", "2:1:5 s/a=<>\n");
    assert_entries("[s]\na = \" x # y \" # no\n", "2:1:5 s/a=< x # y >\n");
    assert_entries("[s]\na = x=\"y\"\n", "2:1:5 s/a=<x=\"y\">\n");
}

static int on_long(void *arg, const struct ini_entry *entry, struct el_error *err)
{
    *(size_t *)arg = entry->value.len;
    return 0;
}

TEST(ini, values_may_be_long)
{
    size_t len = (size_t)1 << 20, found = 0;
    char *text = malloc(len + 6);
    assert_non_null(text);
    memcpy(text, "[s]\na=", 6);
    memset(text + 6, 'x', len);
    assert_int_equal(ini_parse("f", text, len + 6, on_long, &found, NULL), 0);
    assert_int_equal(found, len);
    free(text);
}
