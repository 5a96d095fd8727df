/* SPDX-License-Identifier: Apache-2.0
 *
 * Sealed fields. Goal: a field opens where it was sealed, and nowhere else; whatever is altered is refused; an erased
 * key is told as erased, and nothing else ever is. Method: a key store of a few arrays, refusals first, every bit of
 * what was sealed.
 */
#include "../../../client/seal_format.h"
#include "../../lib/test.h"

#include <core/alloc.h>
#include <core/base64.h>
#include <core/json.h>
#include <stdio.h>
#include <string.h>

/* --- a key store in memory ---------------------------------------------------------------------------------------- */

struct memory_store {
    struct evlog_key_store store;
    struct evlog_data_key keys[4];
    char subjects[4][64];
    struct evlog_key_record records[4];
    int count;
    int taken;
    int fault; /* that every call returns */
};

static struct memory_store *memory_of(struct evlog_key_store *store)
{
    return EL_CONTAINER(store, struct memory_store, store);
}

static int memory_take(struct evlog_key_store *store, struct evlog_bytes subject, struct evlog_data_key *key,
                       struct evlog_failure *failure)
{
    struct memory_store *m = memory_of(store);
    int i = 0;
    m->taken++;
    if (m->fault != 0) {
        return m->fault;
    }
    while (i < m->count && strncmp(m->subjects[i], subject.data, subject.len) != 0) {
        i++;
    }
    if (i == m->count) {
        struct el_uuid id = {{(uint8_t)(0x10 + i)}};
        m->count++;
        memcpy(m->subjects[i], subject.data, subject.len);
        el_uuid_format(m->keys[i].id, &id);
        memset(m->keys[i].bytes, 0xa0 + i, sizeof m->keys[i].bytes);
        memcpy(m->records[i].id, m->keys[i].id, sizeof m->keys[i].id);
    }
    *key = m->keys[i];
    return m->records[i].state == EVLOG_KEY_LIVE ? 0 : EVLOG_ERR_ERASED;
}

static int memory_find(struct evlog_key_store *store, const char *id, struct evlog_data_key *key,
                       struct evlog_key_record *record, struct evlog_failure *failure)
{
    const struct memory_store *m = memory_of(store);
    for (int i = 0; m->fault == 0 && i < m->count; i++) {
        if (strcmp(m->keys[i].id, id) == 0) {
            *key = m->keys[i];
            *record = m->records[i];
            return record->state == EVLOG_KEY_LIVE ? 0 : EVLOG_ERR_ERASED;
        }
    }
    return m->fault != 0 ? m->fault : EVLOG_ERR_NOT_FOUND;
}

static const struct evlog_key_store_calls memory_calls = {
    .size = sizeof memory_calls,
    .take = memory_take,
    .find = memory_find,
};

/* --- helpers ------------------------------------------------------------------------------------------------------ */

static struct evlog_bytes text(const char *from)
{
    return (struct evlog_bytes){from, from == NULL ? 0 : strlen(from)};
}

struct probe {
    struct memory_store m;
    struct evlog_sealed sealed;
    struct evlog_opened opened;
    struct evlog_failure failure;
};

static void begin(struct probe *p)
{
    memset(p, 0, sizeof *p);
    p->m.store.calls = &memory_calls;
    p->sealed = (struct evlog_sealed)EVLOG_SEALED_INIT;
    p->opened = (struct evlog_opened)EVLOG_OPENED_INIT;
    p->failure = (struct evlog_failure)EVLOG_FAILURE_INIT;
}

static int seal_paths(struct probe *p, const char *subject, const char *data, const char *const *paths, size_t count)
{
    struct evlog_seal seal = EVLOG_SEAL_INIT;
    seal.subject = text(subject);
    seal.key = text("order-7");
    seal.id = "e-1";
    seal.paths = paths;
    seal.path_count = count;
    return evlog_seal(&p->m.store, &seal, text(data), &p->sealed, &p->failure);
}

static int open_data(struct probe *p, const char *key, const char *id, struct evlog_bytes data)
{
    evlog_opened_free(&p->opened);
    return evlog_open(&p->m.store, text(key), text(id), data, &p->opened, &p->failure);
}

static void is_data(const struct evlog_opened *opened, const char *expected)
{
    assert_non_null(opened->data.data);
    if (opened->data.len != strlen(expected) || memcmp(opened->data.data, expected, opened->data.len) != 0) {
        fail_msg("%.*s is not %s", (int)opened->data.len, (const char *)opened->data.data, expected);
    }
}

static void end(struct probe *p)
{
    evlog_sealed_free(&p->sealed);
    evlog_opened_free(&p->opened);
}

static void refuse_seal(const char *data, const char *path, int code, const char *about)
{
    struct probe p;
    begin(&p);
    int rc = seal_paths(&p, "ada", data, &path, 1);
    if (rc != code || strstr(p.failure.text, about) == NULL) {
        fail_msg("%s in %s: %d, \"%s\" does not say \"%s\"", path, data, rc, p.failure.text, about);
    }
    assert_int_equal(p.m.taken, 0);
    end(&p);
}

static void refuse_open(const char *data, int code, const char *about)
{
    struct probe p;
    begin(&p);
    int rc = open_data(&p, "order-7", "e-1", text(data));
    if (rc != code || strstr(p.failure.text, about) == NULL) {
        fail_msg("%s: %d, \"%s\" does not say \"%s\"", data, rc, p.failure.text, about);
    }
    assert_null(p.opened.owned);
    end(&p);
}

/* --- refusals ----------------------------------------------------------------------------------------------------- */

#define BOX                                                                                                            \
    "{\"$sealed\":{\"v\":1,\"k\":\"EAAAAAAAAAAAAAAAAAAAAA\",\"n\":\"AAAAAAAAAAAAAAAA\","                               \
    "\"c\":\"AAAAAAAAAAAAAAAAAAAAAA==\"}}"

TEST(seal, refuses_what_cannot_be_sealed_before_a_key_is_made)
{
    refuse_seal("nonsense", "a", EVLOG_ERR_MALFORMED, "line 1");
    refuse_seal("{\"a\":1", "a", EVLOG_ERR_MALFORMED, "too early");
    refuse_seal("{\"a\":1}", "b", EVLOG_ERR_NOT_FOUND, "no field \"b\"");
    refuse_seal("{\"a\":[1]}", "a.1", EVLOG_ERR_NOT_FOUND, "no field");
    refuse_seal("{\"a\":1,\"\\u0061\":2}", "a", EVLOG_ERR_MALFORMED, "twice");
    refuse_seal("{\"a\":" BOX "}", "a", EVLOG_ERR_EXISTS, "sealed already");
    refuse_seal("{\"a\":{\"b\":" BOX "}}", "a", EVLOG_ERR_EXISTS, "inside");
    refuse_seal("{\"a\":" BOX "}", "a.$sealed.c", EVLOG_ERR_EXISTS, "around");
    refuse_seal("{\"a\":1,\"b\":{\"$sealed\":1}}", "a", EVLOG_ERR_MALFORMED, "reserved");
    refuse_seal("{\"a\":1,\"b\":{\"$erased\":1}}", "a", EVLOG_ERR_MALFORMED, "reserved");
    refuse_seal("{\"a\":1,\"b\":{\"\\u0024sealed\":1}}", "a", EVLOG_ERR_MALFORMED, "reserved");
    refuse_seal("{\"a\":1}", "a..b", EVLOG_ERR_ARGUMENT, "one dot");
    refuse_seal("{\"a\":1}", ".a", EVLOG_ERR_ARGUMENT, "one dot");
    refuse_seal("{\"a\":1}", "\xff", EVLOG_ERR_ARGUMENT, "path is text");
}

TEST(seal, refuses_paths_inside_each_other)
{
    static const char *const pairs[][2] = {{"a", "a.b"}, {"a", "a"}, {"", "a"}, {"a.0", "/a/0"}};
    for (size_t i = 0; i < 4; i++) {
        struct probe p;
        begin(&p);
        assert_int_equal(seal_paths(&p, "ada", "{\"a\":{\"b\":1}}", pairs[i], 2), EVLOG_ERR_ARGUMENT);
        assert_non_null(strstr(p.failure.text, "inside"));
        end(&p);
    }
}

TEST(seal, refuses_events_without_id_or_subject)
{
    struct probe p;
    struct evlog_seal seal = EVLOG_SEAL_INIT;
    begin(&p);
    seal.subject = text("ada");
    assert_int_equal(evlog_seal(&p.m.store, &seal, text("{}"), &p.sealed, &p.failure), EVLOG_ERR_ARGUMENT);
    assert_non_null(strstr(p.failure.text, "id"));
    seal.id = "e";
    seal.subject = text("");
    assert_int_equal(evlog_seal(&p.m.store, &seal, text("{}"), &p.sealed, &p.failure), EVLOG_ERR_ARGUMENT);
    seal.subject = text("ada");
    assert_int_equal(evlog_seal(NULL, &seal, text("{}"), &p.sealed, &p.failure), EVLOG_ERR_ARGUMENT);
    assert_int_equal(evlog_seal(&p.m.store, &seal, text(NULL), &p.sealed, &p.failure), EVLOG_ERR_ARGUMENT);
    seal.size = 0;
    assert_int_equal(evlog_seal(&p.m.store, &seal, text("{}"), &p.sealed, &p.failure), EVLOG_ERR_ARGUMENT);
    end(&p);
}

TEST(seal, opens_nothing_that_only_looks_sealed)
{
    refuse_open("{\"a\":{\"$sealed\":1}}", EVLOG_ERR_MALFORMED, "reserved");
    refuse_open("{\"a\":{\"$sealed\":{}}}", EVLOG_ERR_MALFORMED, "members");
    refuse_open("{\"a\":{\"b\":1,\"$sealed\":{}}}", EVLOG_ERR_MALFORMED, "alone");
    refuse_open("{\"a\":{\"$sealed\":{\"v\":2,\"k\":\"\",\"n\":\"\",\"c\":\"\"}}}", EVLOG_ERR_MALFORMED, "version 2");
    refuse_open("{\"a\":{\"$sealed\":{\"v\":1,\"k\":1,\"n\":\"\",\"c\":\"\"}}}", EVLOG_ERR_MALFORMED, "k");
    refuse_open("{\"a\":{\"$sealed\":{\"v\":1,\"k\":\"x\",\"n\":\"\",\"c\":\"\"}}}", EVLOG_ERR_MALFORMED, "base64");
    refuse_open("{\"a\":" BOX "} x", EVLOG_ERR_MALFORMED, "nothing may follow");
    refuse_open("{\"a\":{\"$sealed\":" BOX "}}", EVLOG_ERR_MALFORMED, "members");
    refuse_open("{\"a\":{\"$erased\":{\"subject\":\"x\",\"at\":\"\",\"restorable\":true}}}", EVLOG_ERR_MALFORMED,
                "pseudonym");
    refuse_open("{\"a\":" BOX "}", EVLOG_ERR_KEYS, "another one");
    refuse_open("\x89"
                "evseal\x01 short",
                EVLOG_ERR_MALFORMED, "end after");
}

TEST(seal, without_a_key_store_is_an_error_and_nothing_is_erased)
{
    struct probe p;
    begin(&p);
    assert_int_equal(evlog_open(NULL, text("k"), text("i"), text("{\"a\":" BOX "}"), &p.opened, &p.failure),
                     EVLOG_ERR_SEALED);
    assert_non_null(strstr(p.failure.hint, "--keys"));
    assert_null(p.opened.owned);
    assert_int_equal(
        evlog_open(NULL, text("k"), (struct evlog_bytes){NULL, 0}, text("{\"a\":" BOX "}"), &p.opened, &p.failure),
        EVLOG_ERR_SEALED);
    assert_non_null(strstr(p.failure.text, "event without id cannot"));
    assert_int_equal(evlog_open(NULL, text("k"), text("i"), text("{\"a\":1}"), &p.opened, &p.failure), 0);
    is_data(&p.opened, "{\"a\":1}");
    p.m.fault = EVLOG_ERR_KEYS;
    assert_int_equal(open_data(&p, "k", "i", text("{\"a\":" BOX "}")), EVLOG_ERR_KEYS);
    p.m.fault = EVLOG_ERR_ERASED; /* of a store that does not say since when: not believed */
    assert_int_equal(open_data(&p, "k", "i", text("{\"a\":" BOX "}")), EVLOG_ERR_KEYS);
    end(&p);
}

/* --- there and back ----------------------------------------------------------------------------------------------- */

TEST(seal, gives_back_the_very_bytes)
{
    static const char *const cases[][2] = {
        {"{\"a\":\"Ada\"}", "a"},
        {" { \"x\" : [1, {\"a\\u002fb\" : 1.10e5 } ] , \"y\":2 }\n", "/x/1/a~1b"},
        {"{\"a\":123456789012345678901234567890}", "a"},
        {"{\"a\":{\"b\": [ 1 , null ] }, \"c\":true}", "a"},
        {"[10,20,30]", "2"},
        {"\"all of it\"", ""},
        {"{\"\":{\"\":1}}", "//"},
        {"{\"~\":null}", "~"},
        {"{\"\\u00fc\":\"\\ud83d\\ude00\"}", "\xc3\xbc"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct probe p;
        begin(&p);
        assert_int_equal(seal_paths(&p, "ada", cases[i][0], &cases[i][1], 1), 0);
        assert_true(evlog_is_sealed(p.sealed.data));
        assert_false(evlog_is_sealed(text(cases[i][0])));
        assert_true(el_json_valid(p.sealed.data.data, p.sealed.data.len));
        assert_int_equal(open_data(&p, "order-7", "e-1", p.sealed.data), 0);
        is_data(&p.opened, cases[i][0]);
        assert_int_equal(p.opened.field_count, 1);
        assert_int_equal(p.opened.erased_count, 0);
        assert_string_equal(p.opened.fields[0].subject, p.m.keys[0].id);
        end(&p);
    }
}

TEST(seal, takes_several_fields_and_subjects_of_one_event)
{
    static const char data[] = "{\"from\":{\"name\":\"Ada\",\"n\":1},\"to\":{\"name\":\"Bob\"},\"total\":7}";
    static const char *const ada[] = {"from.n", "from.name"}, *const bob[] = {"to"};
    struct probe p;
    begin(&p);
    assert_int_equal(seal_paths(&p, "ada", data, ada, 2), 0);
    struct evlog_sealed first = p.sealed;
    struct evlog_seal seal = EVLOG_SEAL_INIT;
    seal.subject = text("bob");
    seal.key = text("order-7");
    seal.id = "e-1";
    seal.paths = bob;
    seal.path_count = 1;
    assert_int_equal(evlog_seal(&p.m.store, &seal, first.data, &p.sealed, &p.failure), 0);
    evlog_sealed_free(&first);
    assert_null(memmem(p.sealed.data.data, p.sealed.data.len, "Ada", 3));
    assert_null(memmem(p.sealed.data.data, p.sealed.data.len, "Bob", 3));
    assert_int_equal(open_data(&p, "order-7", "e-1", p.sealed.data), 0);
    is_data(&p.opened, data);
    assert_int_equal(p.opened.field_count, 3);
    assert_string_equal(p.opened.fields[0].path, "/from/name");
    assert_string_equal(p.opened.fields[2].path, "/to");
    p.m.records[1].state = EVLOG_KEY_DESTROYED;
    p.m.records[1].changed_ms = 1772366400123;
    assert_int_equal(open_data(&p, "order-7", "e-1", p.sealed.data), 0);
    is_data(&p.opened,
            "{\"from\":{\"name\":\"Ada\",\"n\":1},\"to\":{\"$erased\":{\"subject\":\"EQAAAAAAAAAAAAAAAAAAAA\","
            "\"at\":\"2026-03-01T12:00:00.123Z\",\"restorable\":false}},\"total\":7}");
    assert_int_equal(p.opened.erased_count, 1);
    assert_int_equal(p.opened.fields[2].state, EVLOG_FIELD_ERASED);
    assert_int_equal(p.opened.fields[2].erased_ms, 1772366400123);
    struct evlog_opened again = EVLOG_OPENED_INIT; /* what a reader has stored opened is typed as well */
    assert_int_equal(evlog_open(NULL, text("k"), text("i"), p.opened.data, &again, &p.failure), 0);
    assert_int_equal(again.erased_count, 1);
    assert_int_equal(again.fields[0].erased_ms, 1772366400123);
    assert_false(again.fields[0].restorable);
    evlog_opened_free(&again);
    p.m.records[1].state = EVLOG_KEY_DISABLED;
    assert_int_equal(open_data(&p, "order-7", "e-1", p.sealed.data), 0);
    assert_true(p.opened.fields[2].restorable);
    end(&p);
}

TEST(seal, takes_bytes_of_any_kind_as_a_whole)
{
    static const struct evlog_bytes cases[] = {{"\x00\xff\x01", 3}, {"", 0}, {"plain", 5}, {"{\"a\":1}", 7}};
    for (size_t i = 0; i < 4; i++) {
        struct probe p;
        struct evlog_seal seal = EVLOG_SEAL_INIT;
        begin(&p);
        seal.subject = text("ada");
        seal.id = "e-1";
        assert_int_equal(evlog_seal(&p.m.store, &seal, cases[i], &p.sealed, &p.failure), 0);
        assert_true(evlog_is_sealed(p.sealed.data));
        assert_int_equal(open_data(&p, "k", "e-1", p.sealed.data), EVLOG_ERR_CORRUPT);
        assert_int_equal(open_data(&p, NULL, "e-1", p.sealed.data), 0);
        assert_non_null(p.opened.data.data);
        assert_int_equal(p.opened.data.len, cases[i].len);
        assert_memory_equal(p.opened.data.data, cases[i].data, cases[i].len);
        assert_string_equal(p.opened.fields[0].path, "");
        struct evlog_sealed twice = EVLOG_SEALED_INIT;
        assert_int_equal(evlog_seal(&p.m.store, &seal, p.sealed.data, &twice, &p.failure), EVLOG_ERR_EXISTS);
        p.m.records[0].state = EVLOG_KEY_DESTROYED;
        assert_int_equal(open_data(&p, NULL, "e-1", p.sealed.data), 0);
        assert_int_equal(p.opened.erased_count, 1);
        assert_non_null(p.opened.data.data); /* no tombstone */
        end(&p);
    }
}

TEST(seal, hides_the_length_of_short_values)
{
    static const char *const path[] = {"a"};
    size_t len = 0;
    static const char *const cases[] = {"{\"a\":1}", "{\"a\":true}", "{\"a\":\"Ada Lovelace\"}"};
    for (size_t i = 0; i < 3; i++) {
        struct probe p;
        begin(&p);
        assert_int_equal(seal_paths(&p, "ada", cases[i], path, 1), 0);
        assert_true(len == 0 || len == p.sealed.data.len);
        len = p.sealed.data.len;
        end(&p);
    }
}

/* --- nowhere else ------------------------------------------------------------------------------------------------- */

TEST(seal, opens_for_no_other_event_and_no_other_field)
{
    static const char *const path[] = {"a"};
    char moved[512];
    struct probe p;
    begin(&p);
    assert_int_equal(seal_paths(&p, "ada", "{\"a\":\"x\",\"b\":1}", path, 1), 0);
    assert_int_equal(open_data(&p, "order-8", "e-1", p.sealed.data), EVLOG_ERR_CORRUPT);
    assert_int_equal(open_data(&p, NULL, "e-1", p.sealed.data), EVLOG_ERR_CORRUPT);
    assert_int_equal(open_data(&p, "order-7", "e-2", p.sealed.data), EVLOG_ERR_CORRUPT);
    assert_int_equal(open_data(&p, "order-7", NULL, p.sealed.data), EVLOG_ERR_CORRUPT);
    assert_int_equal(open_data(&p, "order-", "7e-1", p.sealed.data), EVLOG_ERR_CORRUPT);
    const char *box = strstr(p.sealed.data.data, "{\"$sealed\"");
    size_t len = (size_t)(strstr(box, "}}") + 2 - box);
    static const char *const shapes[][2] = {{"{\"b\":", "}"}, {"[", "]"}, {"{\"a\":{\"a\":", "}}"}, {"", ""}};
    for (size_t i = 0; i < 4; i++) {
        (void)snprintf(moved, sizeof moved, "%s%.*s%s", shapes[i][0], (int)len, box, shapes[i][1]);
        assert_int_equal(open_data(&p, "order-7", "e-1", text(moved)), EVLOG_ERR_CORRUPT);
    }
    (void)snprintf(moved, sizeof moved, "{ \"\\u0061\": %.*s }", (int)len, box); /* the same field, written otherwise */
    assert_int_equal(open_data(&p, "order-7", "e-1", text(moved)), 0);
    is_data(&p.opened, "{ \"\\u0061\": \"x\" }");
    end(&p);
}

TEST(seal, opens_nothing_that_was_altered)
{
    static const char *const path[] = {"a"};
    struct probe p;
    begin(&p);
    assert_int_equal(seal_paths(&p, "ada", "{\"a\":\"Ada\"}", path, 1), 0);
    char *altered = el_memdup(p.sealed.data.data, p.sealed.data.len);
    for (size_t i = 0; i < p.sealed.data.len; i++) {
        for (int to = 0; to < 256; to++) {
            char was = altered[i];
            if ((char)to == was) {
                continue;
            }
            altered[i] = (char)to;
            int rc = open_data(&p, "order-7", "e-1", (struct evlog_bytes){altered, p.sealed.data.len});
            if (rc == 0 && p.opened.field_count > 0) {
                fail_msg("byte %zu as %d: opened as %.*s", i, to, (int)p.opened.data.len,
                         (const char *)p.opened.data.data);
            }
            assert_true(p.opened.erased_count == 0);
            altered[i] = was;
        }
    }
    el_free(altered);
    end(&p);
}

TEST(seal, equals_the_documented_bytes)
{
    uint8_t key[32], room[64], opened[48];
    struct el_seal_box box = {.key_id = {{0xf0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}}};
    struct el_seal_place place = {el_slice_str("order-7"), el_slice_str("e-1"), el_slice_str("/customer/name")};
    struct el_buffer out = {0};
    for (size_t i = 0; i < sizeof key; i++) {
        key[i] = (uint8_t)i;
    }
    memcpy(box.nonce, "nonce-12byte", sizeof box.nonce);
    assert_int_equal(el_seal_encrypt(key, &place, el_slice_str("\"Ada\"           "), &box, room), 0);
    el_seal_write_field(&out, &box);
    assert_string_equal(el_buffer_text(&out),
                        "{\"$sealed\":{\"v\":1,\"k\":\"8AECAwQFBgcICQoLDA0ODw\",\"n\":\"bm9uY2UtMTJieXRl\""
                        ",\"c\":\"R5zJj4oqD4WQYKcuWgKSQO6T6Kp6oD8PVZEpLattJ8M=\"}}");
    assert_int_equal(el_seal_decrypt(key, &place, &box, opened), 0);
    assert_memory_equal(opened, "\"Ada\"           ", 16);
    el_buffer_free(&out);
}

TEST_TORTURE(seal, survives_a_lack_of_memory)
{
    static const char *const paths[] = {"a", "b.c"};
    struct probe p;
    begin(&p);
    int rc = seal_paths(&p, "ada", "{\"a\":1,\"b\":{\"c\":[true]}}", paths, 2);
    if (rc == 0) {
        rc = open_data(&p, "order-7", "e-1", p.sealed.data);
    }
    if (!(el_test_failing() && rc == EVLOG_ERR_NO_MEMORY)) {
        assert_int_equal(rc, 0);
        is_data(&p.opened, "{\"a\":1,\"b\":{\"c\":[true]}}");
    }
    end(&p);
}
