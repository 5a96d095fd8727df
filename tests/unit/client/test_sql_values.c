/* SPDX-License-Identifier: Apache-2.0
 *
 * Values of parameters of SQL projections. Goal: what is missing or cannot be a value is told, and everything else
 * arrives as it was. Method: events by hand, refusals first.
 */
#include "../../../client/sql_values.h"
#include "../../lib/test.h"

#include <stdio.h>
#include <string.h>

static struct evlog_bytes bytes(const char *text)
{
    return (struct evlog_bytes){text, text == NULL ? 0 : strlen(text)};
}

struct probe {
    struct evlog_event event;
    struct evlog_projection_event given;
    struct el_sql_event looked_at;
    struct evlog_sql_value value;
    struct el_error err;
};

static int ask(struct probe *probe, const char *data, struct el_sql_param param)
{
    memset(probe, 0, sizeof *probe);
    probe->event = (struct evlog_event){
        .topic = "orders",
        .partition = 3,
        .offset = 17,
        .timestamp_ms = 1772366400123,
        .append_time_ns = 1772366400123456789,
        .key = bytes("k"),
    };
    probe->given = (struct evlog_projection_event){.event = &probe->event, .data = bytes(data), .version = -1};
    probe->looked_at.event = &probe->given;
    return el_sql_value_of(&probe->looked_at, &param, &probe->value, &probe->err);
}

static void refuse(const char *data, const char *path, const char *about)
{
    struct probe probe;
    int rc = ask(&probe, data, (struct el_sql_param){.source = EL_SQL_FIELD, .path = path});
    if (rc != EVLOG_ERR_INVALID_RECORD || strstr(probe.err.text, about) == NULL) {
        fail_msg("%s in %s: code %d, \"%s\" does not say \"%s\"", path, data, rc, probe.err.text, about);
    }
    el_sql_event_free(&probe.looked_at);
}

static void is_text(const char *data, const char *path, const char *text)
{
    struct probe probe;
    assert_int_equal(ask(&probe, data, (struct el_sql_param){.source = EL_SQL_FIELD, .path = path}), 0);
    assert_int_equal(probe.value.kind, EVLOG_SQL_TEXT);
    assert_int_equal(probe.value.bytes.len, strlen(text));
    assert_memory_equal(probe.value.bytes.data, text, strlen(text));
    el_sql_event_free(&probe.looked_at);
}

TEST(sql_values, refuses_fields_that_are_not_there)
{
    refuse(NULL, "a", "no data");
    refuse("nonsense", "a", "no JSON");
    refuse("{\"a\":1}", "b", "is missing");
    refuse("{\"a\":1}", "a.b", "is missing");
    refuse("{\"a\":[1]}", "a.1", "is missing");
    refuse("{\"a\":[1]}", "a.x", "is missing");
    refuse("[1]", "99999999999999999999", "is missing");
    refuse("{\"a\":\"x\\u0000y\"}", "a", "NUL");
    refuse("{\"a\":[{\"b\":1}]}", "a.0", "inside a list");
}

TEST(sql_values, takes_null_for_optional_fields_only_when_they_are_missing)
{
    struct probe probe;
    static const struct el_sql_param optional = {.source = EL_SQL_FIELD, .path = "b", .optional = true};
    static const char *const texts[] = {NULL, "nonsense", "{\"a\":1}", "{\"b\":null}"};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(ask(&probe, texts[i], optional), 0);
        assert_int_equal(probe.value.kind, EVLOG_SQL_NULL);
        el_sql_event_free(&probe.looked_at);
    }
    assert_int_equal(ask(&probe, "{\"b\":7}", optional), 0);
    assert_int_equal(probe.value.kind, EVLOG_SQL_INT);
    assert_int_equal(probe.value.number, 7);
    el_sql_event_free(&probe.looked_at);
}

TEST(sql_values, gives_each_kind_of_json_its_own)
{
    struct probe probe;
    static const char data[] = "{\"i\":-5,\"r\":1.5,\"t\":true,\"f\":false,\"l\":[10,{\"x\":\"y\"}]}";
    assert_int_equal(ask(&probe, data, (struct el_sql_param){.source = EL_SQL_FIELD, .path = "i"}), 0);
    assert_int_equal(probe.value.number, -5);
    el_sql_event_free(&probe.looked_at);
    assert_int_equal(ask(&probe, data, (struct el_sql_param){.source = EL_SQL_FIELD, .path = "r"}), 0);
    assert_int_equal(probe.value.kind, EVLOG_SQL_REAL);
    assert_true(probe.value.real == 1.5);
    el_sql_event_free(&probe.looked_at);
    assert_int_equal(ask(&probe, data, (struct el_sql_param){.source = EL_SQL_FIELD, .path = "t"}), 0);
    assert_int_equal(probe.value.kind, EVLOG_SQL_BOOL);
    assert_int_equal(probe.value.number, 1);
    el_sql_event_free(&probe.looked_at);
    is_text(data, "l.1.x", "y");
    is_text("{\"a\":{\"b\": { \"c\" : 1.10 } }}", "a.b", "{ \"c\" : 1.10 }");
    is_text("{\"a\":[1, 2]}", "a", "[1, 2]");
    is_text("{\"a\":\"\"}", "a", "");
}

TEST(sql_values, gives_what_the_event_says_of_itself)
{
    struct probe probe;
    assert_int_equal(ask(&probe, NULL, (struct el_sql_param){.source = EL_SQL_TIME}), 0);
    assert_memory_equal(probe.value.bytes.data, "2026-03-01T12:00:00.123Z", 24);
    assert_int_equal(ask(&probe, NULL, (struct el_sql_param){.source = EL_SQL_APPEND_TIME}), 0);
    assert_memory_equal(probe.value.bytes.data, "2026-03-01T12:00:00.123456789Z", 30);
    assert_int_equal(ask(&probe, NULL, (struct el_sql_param){.source = EL_SQL_OFFSET}), 0);
    assert_int_equal(probe.value.number, 17);
    assert_int_equal(ask(&probe, NULL, (struct el_sql_param){.source = EL_SQL_VERSION}), 0);
    assert_int_equal(probe.value.kind, EVLOG_SQL_NULL);
    assert_int_equal(ask(&probe, NULL, (struct el_sql_param){.source = EL_SQL_TYPE}), 0);
    assert_int_equal(probe.value.kind, EVLOG_SQL_NULL);
    assert_int_equal(ask(&probe, "\x80", (struct el_sql_param){.source = EL_SQL_DATA}), 0);
    assert_int_equal(probe.value.kind, EVLOG_SQL_BYTES);
    assert_int_equal(ask(&probe, "any text", (struct el_sql_param){.source = EL_SQL_DATA}), 0);
    assert_int_equal(probe.value.kind, EVLOG_SQL_TEXT);
}

/* --- sealed data -------------------------------------------------------------------------------------------------- */

#define BOX "{\"$sealed\":{\"v\":1,\"k\":\"EAAAAAAAAAAAAAAAAAAAAA\"}}"
#define GONE                                                                                                           \
    "{\"$erased\":{\"subject\":\"EAAAAAAAAAAAAAAAAAAAAA\",\"at\":\"2026-03-01T12:00:00.123Z\",\"restorable\":false}}"

/* How a parameter of an event without a key store (opened NULL), or with one, is answered. */
static int ask_sealed(struct probe *probe, const char *data, const struct evlog_opened *opened, bool aware,
                      struct el_sql_param param)
{
    struct probe unused;
    (void)ask(&unused, "{}", (struct el_sql_param){.source = EL_SQL_KEY});
    *probe = unused;
    probe->given = (struct evlog_projection_event){.event = &probe->event, .data = bytes(data), .version = -1};
    probe->looked_at = (struct el_sql_event){
        .event = &probe->given,
        .opened = opened,
        .sealed = opened == NULL,
        .aware = aware,
    };
    int rc = el_sql_value_of(&probe->looked_at, &param, &probe->value, &probe->err);
    el_sql_event_free(&probe->looked_at);
    return rc;
}

static struct el_sql_param field(const char *path, bool optional)
{
    return (struct el_sql_param){.source = EL_SQL_FIELD, .path = path, .optional = optional};
}

TEST(sql_values, gives_no_ciphertext_for_a_value)
{
    static const char data[] = "{\"a\":" BOX ",\"b\":{\"c\":" BOX "},\"d\":7}";
    static const char *const paths[] = {"a", "a.x", "b", "b.c", "b.c.x"};
    struct probe probe;
    for (size_t i = 0; i < 5; i++) {
        for (int optional = 0; optional < 2; optional++) {
            assert_int_equal(ask_sealed(&probe, data, NULL, true, field(paths[i], optional)), EVLOG_ERR_SEALED);
            assert_non_null(strstr(probe.err.text, "--keys"));
        }
    }
    static const enum el_sql_source sources[] = {EL_SQL_DATA, EL_SQL_ERASED, EL_SQL_SUBJECT};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(ask_sealed(&probe, data, NULL, true, (struct el_sql_param){.source = sources[i], .path = "a"}),
                         EVLOG_ERR_SEALED);
    }
    assert_int_equal(ask_sealed(&probe, data, NULL, false, field("d", false)), 0);
    assert_int_equal(probe.value.number, 7);
    assert_int_equal(ask_sealed(&probe,
                                "\x89"
                                "evseal\x01",
                                NULL, true, field("a", true)),
                     EVLOG_ERR_SEALED);
}

TEST(sql_values, tells_erased_fields_from_missing_ones)
{
    static const char data[] = "{\"a\":" GONE ",\"b\":{\"c\":" GONE "},\"d\":7,\"e\":\"x\"}";
    static const struct evlog_field fields[] = {
        {.path = "/a", .subject = "EAAAAAAAAAAAAAAAAAAAAA", .state = EVLOG_FIELD_ERASED},
        {.path = "/b/c", .subject = "EAAAAAAAAAAAAAAAAAAAAA", .state = EVLOG_FIELD_ERASED},
        {.path = "/e", .subject = "EQAAAAAAAAAAAAAAAAAAAA", .state = EVLOG_FIELD_OPENED},
    };
    const struct evlog_opened opened = {.fields = fields, .field_count = 3, .erased_count = 2};
    struct probe probe;
    assert_int_equal(ask_sealed(&probe, data, &opened, true, field("a", false)), EVLOG_ERR_ERASED);
    assert_non_null(strstr(probe.err.text, ":data.a? takes null"));
    assert_int_equal(ask_sealed(&probe, data, &opened, false, field("a.x", false)), EVLOG_ERR_ERASED);
    assert_int_equal(ask_sealed(&probe, data, &opened, false, field("a", true)), 0);
    assert_int_equal(probe.value.kind, EVLOG_SQL_NULL);
    assert_int_equal(ask_sealed(&probe, data, &opened, false, field("b", true)), EVLOG_ERR_ERASED);
    assert_int_equal(ask_sealed(&probe, data, &opened, true, field("b", false)), 0);
    assert_int_equal(ask_sealed(&probe, data, &opened, false, field("d", false)), 0);
    struct el_sql_param all = {.source = EL_SQL_DATA}, erased = {.source = EL_SQL_ERASED};
    assert_int_equal(ask_sealed(&probe, data, &opened, false, all), EVLOG_ERR_ERASED);
    assert_int_equal(ask_sealed(&probe, data, &opened, true, all), 0);
    assert_int_equal(ask_sealed(&probe, data, &opened, true, erased), 0);
    assert_int_equal(probe.value.number, 1);
    struct el_sql_param subject = {.source = EL_SQL_SUBJECT, .path = "e"};
    assert_int_equal(ask_sealed(&probe, data, &opened, true, subject), 0);
    assert_memory_equal(probe.value.bytes.data, fields[2].subject, 22);
    subject.path = "b.c.deeper";
    assert_int_equal(ask_sealed(&probe, data, &opened, true, subject), 0);
    assert_memory_equal(probe.value.bytes.data, fields[1].subject, 22);
    subject.path = "d";
    assert_int_equal(ask_sealed(&probe, data, &opened, true, subject), 0);
    assert_int_equal(probe.value.kind, EVLOG_SQL_NULL);
}
