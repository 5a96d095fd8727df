/* SPDX-License-Identifier: Apache-2.0
 *
 * The store of projections on SQLite. Goal: nobody runs a projection that somebody else runs, no commit is kept that
 * was made with an old lease or from an old place, and each kind of fault is told as what it is. Method: two
 * connections to one file, refusals first.
 */
#include "../../lib/test.h"

#include <evlog/sqlite.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NAME "orders"

static char path[256];

static struct evlog_projection_store *open_store(void)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_sql_driver *driver;
    struct evlog_projection_store *store;
    if (evlog_sqlite_open(path, true, &driver, &failure) != 0) {
        fail_msg("%s", failure.text);
    }
    assert_int_equal(evlog_sql_store_open(driver, &store, &failure), 0);
    return store;
}

static struct evlog_projection_store *fresh_store(void)
{
    (void)snprintf(path, sizeof path, "%s/p.db", el_test_dir());
    return open_store();
}

static void script(struct evlog_projection_store *store, const char *sql)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_sql_driver *driver = evlog_sql_store_driver(store);
    if (driver->script(driver, sql, NULL, &failure) != 0) {
        fail_msg("%s: %s", sql, failure.text);
    }
}

static int64_t number(struct evlog_projection_store *store, const char *sql)
{
    sqlite3_stmt *statement;
    sqlite3 *db = evlog_sqlite_handle(evlog_sql_store_driver(store));
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    return value;
}

/* Claim as a process that lives: the mark is nobody's. */
static int claim_as(struct evlog_projection_store *store, const char *who, int64_t lease_ms,
                    struct evlog_projection_lease *lease, struct evlog_failure *failure)
{
    struct evlog_projection_claim claim = {
        .name = NAME,
        .who = who,
        .mark = "elsewhere",
        .definition = "abc",
        .lease_ms = lease_ms,
    };
    return store->calls->claim(store, &claim, lease, failure);
}

static int save(struct evlog_projection_store *store, const struct evlog_projection_lease *lease, int64_t from,
                int64_t to, struct evlog_failure *failure)
{
    struct evlog_projection_move move = {
        .old_offset = from,
        .position = {.topic = "t", .next_offset = to, .leader_epoch = -1, .append_time_ns = -1, .whole = true},
    };
    struct evlog_projection_gain gain = {.applied = to - (from < 0 ? 0 : from), .rate_milli = -1};
    int rc = store->calls->begin(store, failure);
    if (rc == 0) {
        rc = store->calls->save(store, lease, &move, 1, &gain, failure);
        rc = rc == 0 ? store->calls->commit(store, failure) : rc;
        if (rc != 0) {
            store->calls->rollback(store);
        }
    }
    return rc;
}

TEST(sqlite_store, a_projection_that_somebody_runs_is_refused_by_name)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_projection_lease first, second;
    struct evlog_projection_store *a = fresh_store(), *b = open_store();
    assert_int_equal(claim_as(a, "runner one", 60000, &first, &failure), 0);
    assert_true(first.fresh);
    assert_int_equal(claim_as(b, "runner two", 60000, &second, &failure), EVLOG_ERR_CONFLICT);
    assert_non_null(strstr(failure.text, "runner one"));
    assert_int_equal(a->calls->release(a, &first, NULL, &failure), 0);
    assert_int_equal(claim_as(b, "runner two", 60000, &second, &failure), 0);
    assert_false(second.fresh);
    assert_true(second.fence > first.fence);
    evlog_projection_store_close(a);
    evlog_projection_store_close(b);
}

TEST(sqlite_store, a_runner_whose_lease_was_taken_keeps_nothing)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_projection_lease first, second;
    struct evlog_projection_store *a = fresh_store(), *b = open_store();
    bool paused;
    assert_int_equal(claim_as(a, "one", 60000, &first, &failure), 0);
    assert_int_equal(save(a, &first, -1, 5, &failure), 0);
    script(b, "UPDATE evlog_projection SET lease_until_ms = 0");
    assert_int_equal(claim_as(b, "two", 60000, &second, &failure), 0);
    assert_int_equal(save(a, &first, 5, 6, &failure), EVLOG_ERR_CONFLICT);
    assert_int_equal(a->calls->renew(a, &first, &paused, &failure), EVLOG_ERR_CONFLICT);
    assert_non_null(strstr(failure.text, "taken over"));
    assert_int_equal(a->calls->release(a, &first, "late", &failure), 0);
    assert_int_equal(number(b, "SELECT lease_until_ms > 0 FROM evlog_projection"), 1);
    assert_int_equal(number(b, "SELECT next_offset FROM evlog_projection_position"), 5);
    assert_int_equal(save(b, &second, 5, 6, &failure), 0);
    evlog_projection_store_close(a);
    evlog_projection_store_close(b);
}

TEST(sqlite_store, a_checkpoint_moves_only_from_where_it_is)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_projection_lease lease;
    struct evlog_projection_store *store = fresh_store();
    assert_int_equal(claim_as(store, "one", 60000, &lease, &failure), 0);
    assert_int_equal(save(store, &lease, -1, 5, &failure), 0);
    assert_int_equal(save(store, &lease, -1, 7, &failure), EVLOG_ERR_CONFLICT);
    assert_int_equal(save(store, &lease, 4, 7, &failure), EVLOG_ERR_CONFLICT);
    assert_non_null(strstr(failure.text, "t[0]"));
    lease.generation++;
    assert_int_equal(save(store, &lease, 5, 7, &failure), EVLOG_ERR_CONFLICT);
    lease.generation--;
    assert_int_equal(save(store, &lease, 5, 7, &failure), 0);
    assert_int_equal(number(store, "SELECT next_offset FROM evlog_projection_position"), 7);
    assert_int_equal(number(store, "SELECT applied FROM evlog_projection"), 7);
    evlog_projection_store_close(store);
}

TEST(sqlite_store, another_definition_needs_to_be_accepted)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_projection_lease lease;
    struct evlog_projection_store *store = fresh_store();
    struct evlog_projection_claim claim = {
        .name = NAME, .who = "x", .mark = "", .definition = "other", .lease_ms = 1000};
    assert_int_equal(claim_as(store, "one", 60000, &lease, &failure), 0);
    assert_int_equal(store->calls->release(store, &lease, NULL, &failure), 0);
    assert_int_equal(store->calls->claim(store, &claim, &lease, &failure), EVLOG_ERR_CONFLICT);
    assert_non_null(strstr(failure.hint, "--rebuild"));
    claim.accept_change = true;
    assert_int_equal(store->calls->claim(store, &claim, &lease, &failure), 0);
    evlog_projection_store_close(store);
}

static int bad_setup(void *arg, struct evlog_projection_store *store, struct evlog_failure *failure)
{
    struct evlog_sql_driver *driver = evlog_sql_store_driver(store);
    return driver->script(driver, "CREATE TABLE fine (a);\n\nCREATE TABEL x (a);", arg, failure);
}

TEST(sqlite_store, a_setup_that_fails_leaves_nothing)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_projection_lease lease;
    struct evlog_projection_store *store = fresh_store();
    size_t pos = 0;
    struct evlog_projection_claim claim = {
        .name = NAME, .who = "x", .mark = "", .lease_ms = 1000, .on_setup = bad_setup, .arg = &pos};
    assert_int_equal(store->calls->claim(store, &claim, &lease, &failure), EVLOG_ERR_MALFORMED);
    assert_int_equal(pos, strlen("CREATE TABLE fine (a);\n\nCREATE "));
    assert_int_equal(number(store, "SELECT count(*) FROM sqlite_master"), 0);
    evlog_projection_store_close(store);
}

TEST(sqlite_store, unknown_projections_are_told_also_where_there_are_none)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_projection_store *store = fresh_store();
    assert_int_equal(evlog_projection_pause(store, "nix", true, &failure), EVLOG_ERR_NOT_FOUND);
    assert_int_equal(evlog_projection_pause(store, "nix", true, NULL), EVLOG_ERR_NOT_FOUND);
    assert_int_equal(evlog_project_wait(store, "nix", "t/0/1", 0, &failure), EVLOG_ERR_NOT_FOUND);
    assert_int_equal(number(store, "SELECT count(*) FROM sqlite_master"), 0);
    evlog_projection_store_close(store);
}

TEST(sqlite_store, faults_are_the_values_the_databases_or_passing)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_projection_store *store = fresh_store(), *other = open_store();
    struct evlog_sql_driver *driver = evlog_sql_store_driver(store);
    struct evlog_sql_value one = {.kind = EVLOG_SQL_INT, .number = 1};
    void *insert, *none;
    script(store, "CREATE TABLE t (a INTEGER PRIMARY KEY)");
    assert_int_equal(driver->prepare(driver, "INSERT INTO nix VALUES ($1)", 1, &none, NULL, &failure),
                     EVLOG_ERR_DATABASE);
    assert_int_equal(driver->prepare(driver, "INSERT INTO t VALUSE ($1)", 1, &none, NULL, &failure),
                     EVLOG_ERR_MALFORMED);
    assert_int_equal(driver->prepare(driver, "INSERT INTO t VALUES ($1), (?)", 1, &none, NULL, &failure),
                     EVLOG_ERR_MALFORMED);
    assert_int_equal(driver->prepare(driver, "COMMIT", 0, &none, NULL, &failure), EVLOG_ERR_MALFORMED);
    assert_non_null(strstr(failure.text, "transactions"));
    assert_int_equal(driver->prepare(driver, "COMMIT", 0, &none, NULL, NULL), EVLOG_ERR_MALFORMED);
    assert_int_equal(driver->prepare(driver, "INSERT INTO t VALUES ($1)", 1, &insert, NULL, &failure), 0);
    assert_int_equal(driver->run(driver, insert, &one, 1, NULL, NULL, NULL, &failure), 0);
    assert_int_equal(driver->run(driver, insert, &one, 1, NULL, NULL, NULL, &failure), EVLOG_ERR_INVALID_RECORD);
    script(other, "DROP TABLE t");
    assert_int_equal(driver->run(driver, insert, &one, 1, NULL, NULL, NULL, &failure), EVLOG_ERR_DATABASE);
    driver->finish(driver, insert);
    assert_int_equal(other->calls->begin(other, &failure), 0);
    (void)sqlite3_busy_timeout(evlog_sqlite_handle(driver), 1);
    assert_int_equal(driver->begin(driver, &failure), EVLOG_ERR_LOCKED);
    other->calls->rollback(other);
    assert_int_equal(driver->begin(driver, &failure), 0);
    driver->rollback(driver);
    evlog_projection_store_close(store);
    evlog_projection_store_close(other);
}

TEST(sqlite_store, a_file_that_is_no_database_is_refused)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_sql_driver *driver;
    (void)snprintf(path, sizeof path, "%s/text.db", el_test_dir());
    assert_int_equal(evlog_sqlite_open(path, false, &driver, &failure), EVLOG_ERR_NOT_FOUND);
    FILE *file = fopen(path, "we");
    for (int i = 0; i < 1000; i++) {
        (void)fputs("this is a text and no database\n", file);
    }
    (void)fclose(file);
    assert_int_equal(evlog_sqlite_open(path, true, &driver, &failure), EVLOG_ERR_DATABASE);
    assert_non_null(strstr(failure.text, "text.db"));
}

TEST(sqlite_store, streams_are_counted_with_the_transaction)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_projection_lease lease;
    struct evlog_projection_store *store = fresh_store();
    struct evlog_event event = {.topic = "t", .key = {"k\0x", 3}};
    int64_t version = -1;
    assert_int_equal(claim_as(store, "one", 60000, &lease, &failure), 0);
    for (int64_t i = 0; i < 3; i++) {
        assert_int_equal(store->calls->begin(store, &failure), 0);
        assert_int_equal(store->calls->count(store, &lease, &event, &version, &failure), 0);
        assert_int_equal(version, i);
        assert_int_equal(store->calls->commit(store, &failure), 0);
    }
    assert_int_equal(store->calls->begin(store, &failure), 0);
    assert_int_equal(store->calls->count(store, &lease, &event, &version, &failure), 0);
    store->calls->rollback(store);
    event.key.len = 1;
    assert_int_equal(store->calls->begin(store, &failure), 0);
    assert_int_equal(store->calls->count(store, &lease, &event, &version, &failure), 0);
    assert_int_equal(version, 0);
    event.key.len = 3;
    assert_int_equal(store->calls->count(store, &lease, &event, &version, &failure), 0);
    assert_int_equal(version, 3);
    store->calls->rollback(store);
    evlog_projection_store_close(store);
}

/* --- swap --------------------------------------------------------------------------------------------------------- */

static const char old_rows[] = "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT); INSERT INTO t VALUES (1, 'old');"
                               "CREATE TABLE own (x); INSERT INTO own VALUES (7)";
static const char new_rows[] =
    "CREATE TABLE t (a INTEGER PRIMARY KEY, c TEXT, d TEXT AS (c || '!') STORED);"
    "INSERT INTO t (a, c) VALUES (1, 'new'), (2, 'new'); CREATE INDEX t_c ON t (c);"
    "CREATE VIEW v AS SELECT c FROM t; CREATE TABLE seq (a INTEGER PRIMARY KEY AUTOINCREMENT);"
    "INSERT INTO seq VALUES (41); DELETE FROM seq";

struct places {
    struct evlog_projection_store *live, *staged;
    struct evlog_projection_lease live_lease, staged_lease;
};

static void two_places(struct places *places, int64_t live_offset, int64_t staged_offset)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    places->live = fresh_store();
    assert_int_equal(claim_as(places->live, "live", 60000, &places->live_lease, &failure), 0);
    assert_int_equal(save(places->live, &places->live_lease, -1, live_offset, &failure), 0);
    script(places->live, old_rows);
    assert_int_equal(places->live->calls->stage(places->live, NAME, "next", true, &places->staged, &failure), 0);
    assert_int_equal(claim_as(places->staged, "next", 60000, &places->staged_lease, &failure), 0);
    assert_int_equal(save(places->staged, &places->staged_lease, -1, staged_offset, &failure), 0);
    script(places->staged, new_rows);
}

static void close_places(struct places *places, bool drop)
{
    char beside[300];
    (void)snprintf(beside, sizeof beside, "%s-next_" NAME, path);
    places->staged->calls->close(places->staged, drop);
    assert_int_equal(access(beside, F_OK) == 0, !drop);
    evlog_projection_store_close(places->live);
}

static int swap(struct places *places, struct evlog_projection_lease *lease, struct evlog_failure *failure)
{
    return places->live->calls->swap(places->live, places->staged, NAME, lease, failure);
}

TEST(sqlite_store, a_swap_is_refused_while_the_live_one_is_ahead)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_projection_lease taken = {.name = ""};
    struct places places;
    two_places(&places, 9, 8);
    assert_int_equal(swap(&places, NULL, &failure), EVLOG_ERR_AGAIN);
    assert_int_equal(save(places.live, &places.live_lease, 9, 10, &failure), 0);
    assert_int_equal(swap(&places, &taken, &failure), EVLOG_ERR_AGAIN);
    assert_string_equal(taken.name, NAME);
    assert_int_equal(save(places.live, &places.live_lease, 10, 11, &failure), EVLOG_ERR_CONFLICT);
    assert_int_equal(save(places.staged, &places.staged_lease, 8, 10, &failure), 0);
    assert_int_equal(swap(&places, &taken, &failure), 0);
    close_places(&places, true);
}

TEST(sqlite_store, a_lease_that_a_swap_has_taken_can_be_given_back)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_projection_lease taken = {.name = ""}, after;
    struct places places;
    two_places(&places, 9, 8);
    assert_int_equal(swap(&places, &taken, &failure), EVLOG_ERR_AGAIN);
    assert_int_equal(claim_as(places.live, "after", 60000, &after, &failure), EVLOG_ERR_CONFLICT);
    assert_non_null(strstr(failure.text, "the rebuild of process "));
    assert_int_equal(places.live->calls->release(places.live, &taken, "it failed", &failure), 0);
    assert_int_equal(claim_as(places.live, "after", 60000, &after, &failure), 0);
    assert_int_equal(save(places.live, &after, 9, 10, &failure), 0);
    close_places(&places, true);
}

TEST(sqlite_store, a_swap_that_would_lose_something_is_refused_whole)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct places places;
    two_places(&places, 5, 5);
    script(places.live, "CREATE INDEX mine ON t (b)");
    assert_int_equal(swap(&places, NULL, &failure), EVLOG_ERR_CONFLICT);
    assert_non_null(strstr(failure.text, "index mine of table t"));
    assert_int_equal(number(places.live, "SELECT count(*) FROM t WHERE b = 'old'"), 1);
    assert_int_equal(save(places.live, &places.live_lease, 5, 6, &failure), 0);
    close_places(&places, false);
}

TEST(sqlite_store, a_swap_brings_rows_checkpoint_and_generation_at_once)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct places places;
    struct evlog_projection_lease after;
    two_places(&places, 5, 8);
    assert_int_equal(swap(&places, NULL, &failure), 0);
    assert_int_equal(number(places.live, "SELECT count(*) FROM t WHERE d = 'new!'"), 2);
    assert_int_equal(number(places.live, "SELECT count(*) FROM v"), 2);
    assert_int_equal(number(places.live, "SELECT x FROM own"), 7);
    assert_int_equal(number(places.live, "SELECT count(*) FROM sqlite_master WHERE name = 't_c'"), 1);
    script(places.live, "INSERT INTO seq DEFAULT VALUES");
    assert_int_equal(number(places.live, "SELECT a FROM seq"), 42);
    assert_int_equal(number(places.live, "SELECT next_offset FROM evlog_projection_position"), 8);
    assert_int_equal(number(places.live, "SELECT generation FROM evlog_projection"), 2);
    assert_int_equal(number(places.live, "SELECT applied FROM evlog_projection"), 8);
    assert_int_equal(save(places.live, &places.live_lease, 8, 9, &failure), EVLOG_ERR_CONFLICT);
    assert_int_equal(claim_as(places.live, "after", 60000, &after, &failure), 0);
    assert_int_equal(after.generation, 2);
    close_places(&places, true);
}

static void count_difference(void *arg, const char *text)
{
    (void)text;
    ++*(int *)arg;
}

TEST(sqlite_store, a_comparison_finds_rows_that_differ_are_missing_or_double)
{
    static const char *const changes[] = {
        "UPDATE t SET b = 'x'",
        "DELETE FROM t",
        "INSERT INTO t VALUES (2, 'old')",
        "DROP TABLE t",
    };
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    for (size_t i = 0; i < 4; i++) {
        struct places places;
        int count = 0;
        two_places(&places, 5, 5);
        script(places.staged, "DROP VIEW v; DROP TABLE t; DROP TABLE seq;");
        script(places.staged, old_rows);
        assert_int_equal(
            places.live->calls->compare(places.live, places.staged, NAME, count_difference, &count, &failure), 0);
        assert_int_equal(count, 0);
        script(places.live, changes[i]);
        assert_int_equal(
            places.live->calls->compare(places.live, places.staged, NAME, count_difference, &count, &failure), 0);
        assert_int_equal(count, 1);
        assert_int_equal(save(places.live, &places.live_lease, 5, 6, &failure), 0);
        assert_int_equal(
            places.live->calls->compare(places.live, places.staged, NAME, count_difference, &count, &failure),
            EVLOG_ERR_AGAIN);
        close_places(&places, true);
        (void)unlink(path);
    }
}
