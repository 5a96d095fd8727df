/* SPDX-License-Identifier: Apache-2.0
 *
 * The store of projections over any SQL database: lease, checkpoint, counts of streams, in three tables of its own.
 *
 * Everything that must not be lost or doubled is decided by the database: a claim raises the fence in one transaction,
 * and a transaction that moves the checkpoint moves it only where generation, fence and the old offset are still those
 * that the runner knows. A runner that slept through its lease therefore commits nothing. Times are the database's.
 *
 * The statements are written once for all databases; {now}, {lock} and {bytes} are the driver's words.
 */
#include "sql_store.h"
#include "fail.h"
#include "process_mark.h"

#include <core/alloc.h>
#include <core/assert.h>
#include <core/buffer.h>
#include <core/crypto.h>
#include <stdio.h>

#define FORMAT 1 /* of the tables */

static const char tables[] =
    "CREATE TABLE IF NOT EXISTS evlog_projection (name TEXT NOT NULL PRIMARY KEY, format BIGINT NOT NULL,"
    " generation BIGINT NOT NULL, definition TEXT NOT NULL, fence BIGINT NOT NULL, who TEXT NOT NULL,"
    " mark TEXT NOT NULL, lease_until_ms BIGINT NOT NULL, paused BIGINT NOT NULL, applied BIGINT NOT NULL,"
    " skipped BIGINT NOT NULL, dead BIGINT NOT NULL, rate_milli BIGINT NOT NULL, saved_ms BIGINT NOT NULL,"
    " error TEXT NOT NULL, error_ms BIGINT NOT NULL);"
    "CREATE TABLE IF NOT EXISTS evlog_projection_position (name TEXT NOT NULL, topic TEXT NOT NULL,"
    " partition_index BIGINT NOT NULL, topic_id TEXT NOT NULL, leader_epoch BIGINT NOT NULL,"
    " next_offset BIGINT NOT NULL, append_time_ns BIGINT NOT NULL, history_end BIGINT NOT NULL,"
    " whole BIGINT NOT NULL, last_id TEXT NOT NULL,"
    " PRIMARY KEY (name, topic, partition_index));"
    "CREATE TABLE IF NOT EXISTS evlog_projection_lane (name TEXT NOT NULL, topic TEXT NOT NULL,"
    " partition_index BIGINT NOT NULL, lane BIGINT NOT NULL, lane_count BIGINT NOT NULL, topic_id TEXT NOT NULL,"
    " leader_epoch BIGINT NOT NULL, next_offset BIGINT NOT NULL,"
    " PRIMARY KEY (name, topic, partition_index, lane));"
    "CREATE TABLE IF NOT EXISTS evlog_projection_stream (name TEXT NOT NULL, topic TEXT NOT NULL,"
    " stream_key {bytes} NOT NULL, next_version BIGINT NOT NULL, PRIMARY KEY (name, topic, stream_key));";

#define ROW                                                                                                            \
    "SELECT name, generation, who, mark, lease_until_ms, {now}, paused, applied, skipped, dead, rate_milli, saved_ms," \
    " error_ms, error, definition FROM evlog_projection"

static const char *const statements[EL_SQL_OWN_STATEMENTS] = {
    [EL_SQL_OWN_LOOK] = "SELECT generation, definition, fence, who, mark, lease_until_ms, {now}, format, paused"
                        " FROM evlog_projection WHERE name = $1 {lock}",
    [EL_SQL_OWN_INSERT] = "INSERT INTO evlog_projection (name, format, generation, definition, fence, who, mark,"
                          " lease_until_ms, paused, applied, skipped, dead, rate_milli, saved_ms, error, error_ms)"
                          " VALUES ($1, $2, 1, $3, 1, $4, $5, {now} + $6, 0, 0, 0, 0, -1, 0, '', 0)",
    [EL_SQL_OWN_CLAIM] = "UPDATE evlog_projection SET fence = fence + 1, definition = $1, who = $2, mark = $3,"
                         " lease_until_ms = {now} + $4, error = '', error_ms = 0 WHERE name = $5",
    [EL_SQL_OWN_RENEW] = "UPDATE evlog_projection SET lease_until_ms = {now} + $1"
                         " WHERE name = $2 AND fence = $3 AND generation = $4",
    [EL_SQL_OWN_RELEASE] = "UPDATE evlog_projection SET lease_until_ms = 0, who = '', mark = '', error = $1,"
                           " error_ms = CASE WHEN $2 = 0 THEN 0 ELSE {now} END"
                           " WHERE name = $3 AND fence = $4 AND generation = $5",
    [EL_SQL_OWN_COUNT] =
        "INSERT INTO evlog_projection_stream (name, topic, stream_key, next_version)"
        " VALUES ($1, $2, $3, 1) ON CONFLICT (name, topic, stream_key)"
        " DO UPDATE SET next_version = evlog_projection_stream.next_version + 1 RETURNING next_version",
    [EL_SQL_OWN_SAVE] = "UPDATE evlog_projection SET lease_until_ms = {now} + $1, applied = applied + $2,"
                        " skipped = skipped + $3, dead = dead + $4, rate_milli = $5, saved_ms = {now}, error = '',"
                        " error_ms = 0 WHERE name = $6 AND fence = $7 AND generation = $8",
    [EL_SQL_OWN_PLACE] = "INSERT INTO evlog_projection_position (topic_id, leader_epoch, next_offset, append_time_ns,"
                         " history_end, whole, last_id, name, topic, partition_index)"
                         " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    [EL_SQL_OWN_MOVE] = "UPDATE evlog_projection_position SET topic_id = $1, leader_epoch = $2, next_offset = $3,"
                        " append_time_ns = $4, history_end = $5, whole = $6, last_id = $7"
                        " WHERE name = $8 AND topic = $9 AND partition_index = $10 AND next_offset = $11",
    [EL_SQL_OWN_POSITIONS] = "SELECT topic, partition_index, topic_id, leader_epoch, next_offset, append_time_ns,"
                             " history_end, whole, last_id FROM evlog_projection_position WHERE name = $1",
    [EL_SQL_OWN_LANE_PLACE] = "INSERT INTO evlog_projection_lane (topic_id, leader_epoch, next_offset, name, topic,"
                              " partition_index, lane, lane_count) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    [EL_SQL_OWN_LANE_MOVE] = "UPDATE evlog_projection_lane SET topic_id = $1, leader_epoch = $2, next_offset = $3"
                             " WHERE name = $4 AND topic = $5 AND partition_index = $6 AND lane = $7"
                             " AND lane_count = $8 AND next_offset = $9",
    [EL_SQL_OWN_LANE_LEVEL] = "DELETE FROM evlog_projection_lane WHERE name = $1 AND topic = $2"
                              " AND partition_index = $3 AND next_offset <= $4",
    [EL_SQL_OWN_LANES] = "SELECT topic, partition_index, topic_id, leader_epoch, next_offset, lane, lane_count"
                         " FROM evlog_projection_lane WHERE name = $1",
    [EL_SQL_OWN_ROWS] = ROW " ORDER BY name",
    [EL_SQL_OWN_ROW] = ROW " WHERE name = $1",
    [EL_SQL_OWN_PAUSE] = "UPDATE evlog_projection SET paused = $1 WHERE name = $2",
};

static struct el_sql_store *of(struct evlog_projection_store *store)
{
    return EL_CONTAINER(store, struct el_sql_store, base);
}

/* --- running statements ------------------------------------------------------------------------------------------- */

/* Put the driver's words into a statement. */
static const char *in_words(const struct evlog_sql_driver *driver, const char *text, struct el_buffer *out)
{
    const struct {
        const char *mark, *word;
    } words[] = {{"{now}", driver->now_ms}, {"{lock}", driver->row_lock}, {"{bytes}", driver->bytes_type}};
    while (*text != '\0') {
        size_t len = 0;
        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
            if (strncmp(text, words[i].mark, strlen(words[i].mark)) == 0) {
                el_buffer_append_str(out, words[i].word);
                len = strlen(words[i].mark);
            }
        }
        if (len == 0) {
            el_buffer_append_char(out, *text);
            len = 1;
        }
        text += len;
    }
    return el_buffer_text(out);
}

int el_sql_store_make_tables(struct el_sql_store *store, struct evlog_failure *failure)
{
    struct el_buffer text = {0};
    const char *sql = in_words(store->driver, tables, &text);
    int rc = sql == NULL ? el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory")
                         : store->driver->script(store->driver, sql, NULL, failure);
    el_buffer_free(&text);
    return rc;
}

int el_sql_store_run(struct el_sql_store *store, const struct el_sql_run *run, struct evlog_failure *failure)
{
    struct evlog_sql_driver *driver = store->driver;
    if (store->prepared[run->own] == NULL) {
        struct el_buffer text = {0};
        const char *sql = in_words(driver, statements[run->own], &text);
        int rc = sql == NULL
                     ? el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory")
                     : driver->prepare(driver, sql, run->value_count, &store->prepared[run->own], NULL, failure);
        el_buffer_free(&text);
        if (rc != 0) {
            store->prepared[run->own] = NULL;
            return rc;
        }
    }
    return driver->run(driver, store->prepared[run->own], run->values, run->value_count, run->fn, run->arg,
                       run->changed, failure);
}

void el_sql_text_of(const struct evlog_sql_value *value, char *text, size_t room)
{
    size_t len = value->kind == EVLOG_SQL_TEXT || value->kind == EVLOG_SQL_BYTES ? value->bytes.len : 0;
    len = EL_MIN(len, room - 1);
    memcpy(text, len == 0 ? "" : value->bytes.data, len);
    text[len] = '\0';
}

static int no_such(const char *name, struct evlog_failure *failure)
{
    (void)el_fail(failure, EVLOG_ERR_NOT_FOUND, "there is no projection %s in this database", name);
    el_fail_hint(failure, "evlog project ls --db DB lists what is there");
    return EVLOG_ERR_NOT_FOUND;
}

/* Another runner has gone on. */
static int fenced(const struct evlog_projection_lease *lease, struct evlog_failure *failure)
{
    (void)el_fail(failure, EVLOG_ERR_CONFLICT,
                  "projection %s was taken over: this runner's lease (generation %lld, fence %lld) is over",
                  lease->name, (long long)lease->generation, (long long)lease->fence);
    el_fail_hint(failure, "nothing of this transaction was kept; evlog project status says who runs it now");
    return EVLOG_ERR_CONFLICT;
}

/* --- the lease ---------------------------------------------------------------------------------------------------- */

struct look {
    bool found;
    int64_t generation, fence, lease_until_ms, now_ms, format, paused;
    char definition[65], who[EVLOG_PROJECTION_WHO_MAX], mark[EL_PROCESS_MARK_MAX];
};

static int take_look(void *arg, const struct evlog_sql_value *columns, size_t column_count)
{
    struct look *look = arg;
    EL_ASSERT(column_count == 9);
    look->found = true;
    look->generation = columns[0].number;
    el_sql_text_of(&columns[1], look->definition, sizeof look->definition);
    look->fence = columns[2].number;
    el_sql_text_of(&columns[3], look->who, sizeof look->who);
    el_sql_text_of(&columns[4], look->mark, sizeof look->mark);
    look->lease_until_ms = columns[5].number;
    look->now_ms = columns[6].number;
    look->format = columns[7].number;
    look->paused = columns[8].number;
    return 0;
}

static int look_at(struct el_sql_store *store, const char *name, struct look *look, struct evlog_failure *failure)
{
    struct evlog_sql_value values[] = {EL_SQL_V_TEXT(name)};
    struct el_sql_run run = {EL_SQL_OWN_LOOK, values, 1, take_look, look, NULL};
    *look = (struct look){.found = false};
    return el_sql_store_run(store, &run, failure);
}

static bool is_held(const char *who, const char *mark, int64_t left_ms)
{
    return who[0] != '\0' && left_ms > 0 && !el_process_gone(mark);
}

static int refuse_claim(const struct evlog_projection_claim *claim, const struct look *look,
                        struct evlog_failure *failure)
{
    int64_t left_ms = look->lease_until_ms - look->now_ms;
    if (look->format > FORMAT) {
        return el_fail(failure, EVLOG_ERR_FORMAT, "projection %s was written by a newer version (format %lld)",
                       claim->name, (long long)look->format);
    }
    if (is_held(look->who, look->mark, left_ms)) {
        (void)el_fail(failure, EVLOG_ERR_CONFLICT, "projection %s is run by %s (its lease ends in %lld ms)",
                      claim->name, look->who, (long long)left_ms);
        el_fail_hint(failure, "only one may run it: stop the other, or wait until its lease has ended");
        return EVLOG_ERR_CONFLICT;
    }
    bool changed = claim->definition != NULL && look->definition[0] != '\0' &&
                   strcmp(claim->definition, look->definition) != 0;
    if (changed && !claim->accept_change) {
        (void)el_fail(failure, EVLOG_ERR_CONFLICT,
                      "projection %s has changed since its rows were made (generation %lld)", claim->name,
                      (long long)look->generation);
        el_fail_hint(failure, "--rebuild makes them anew beside the old ones; --accept-change goes on with what "
                              "is there");
        return EVLOG_ERR_CONFLICT;
    }
    return 0;
}

static int claim_new(struct el_sql_store *store, const struct evlog_projection_claim *claim,
                     struct evlog_failure *failure)
{
    struct evlog_sql_value values[] = {
        EL_SQL_V_TEXT(claim->name),
        EL_SQL_V_INT(FORMAT),
        EL_SQL_V_TEXT(claim->definition == NULL ? "" : claim->definition),
        EL_SQL_V_TEXT(claim->who),
        EL_SQL_V_TEXT(claim->mark),
        EL_SQL_V_INT(claim->lease_ms),
    };
    struct el_sql_run run = {EL_SQL_OWN_INSERT, values, 6, NULL, NULL, NULL};
    int rc = el_sql_store_run(store, &run, failure);
    if (rc == EVLOG_ERR_INVALID_RECORD) {
        return el_fail(failure, EVLOG_ERR_LOCKED, "somebody else makes projection %s just now", claim->name);
    }
    if (rc == 0 && claim->on_setup != NULL) {
        rc = claim->on_setup(claim->arg, &store->base, failure);
    }
    return rc;
}

static int claim_old(struct el_sql_store *store, const struct evlog_projection_claim *claim, const struct look *look,
                     struct evlog_failure *failure)
{
    int rc = refuse_claim(claim, look, failure);
    struct evlog_sql_value values[] = {
        EL_SQL_V_TEXT(claim->definition == NULL ? look->definition : claim->definition),
        EL_SQL_V_TEXT(claim->who),
        EL_SQL_V_TEXT(claim->mark),
        EL_SQL_V_INT(claim->lease_ms),
        EL_SQL_V_TEXT(claim->name),
    };
    struct el_sql_run run = {EL_SQL_OWN_CLAIM, values, 5, NULL, NULL, NULL};
    return rc == 0 ? el_sql_store_run(store, &run, failure) : rc;
}

static int store_claim(struct evlog_projection_store *base, const struct evlog_projection_claim *claim,
                       struct evlog_projection_lease *lease, struct evlog_failure *failure)
{
    struct el_sql_store *store = of(base);
    struct look look = {.found = false};
    int rc = store->driver->begin(store->driver, failure);
    if (rc != 0) {
        return rc;
    }
    rc = el_sql_store_make_tables(store, failure);
    rc = rc == EVLOG_ERR_INVALID_RECORD ? EVLOG_ERR_LOCKED : rc; /* somebody else makes them */
    if (rc == 0) {
        rc = look_at(store, claim->name, &look, failure);
    }
    if (rc == 0) {
        rc = look.found ? claim_old(store, claim, &look, failure) : claim_new(store, claim, failure);
    }
    if (rc == 0) {
        rc = store->driver->commit(store->driver, failure);
    }
    if (rc != 0) {
        store->driver->rollback(store->driver);
        return rc;
    }
    *lease = (struct evlog_projection_lease){
        .generation = look.found ? look.generation : 1,
        .fence = look.found ? look.fence + 1 : 1,
        .lease_ms = claim->lease_ms,
        .fresh = !look.found,
    };
    (void)snprintf(lease->name, sizeof lease->name, "%s", claim->name);
    return 0;
}

/* Run a statement of one row of this lease, alone or inside a transaction. */
static int run_mine(struct el_sql_store *store, const struct evlog_projection_lease *lease,
                    const struct el_sql_run *run, struct evlog_failure *failure)
{
    int64_t changed = 0;
    struct el_sql_run full = *run;
    full.changed = &changed;
    int rc = el_sql_store_run(store, &full, failure);
    return rc == 0 && changed != 1 ? fenced(lease, failure) : rc;
}

static int renew(struct el_sql_store *store, const struct evlog_projection_lease *lease, bool *paused,
                 struct evlog_failure *failure)
{
    struct look look;
    struct evlog_sql_value values[] = {
        EL_SQL_V_INT(lease->lease_ms),
        EL_SQL_V_TEXT(lease->name),
        EL_SQL_V_INT(lease->fence),
        EL_SQL_V_INT(lease->generation),
    };
    struct el_sql_run run = {EL_SQL_OWN_RENEW, values, 4, NULL, NULL, NULL};
    int rc = run_mine(store, lease, &run, failure);
    if (rc == 0) {
        rc = look_at(store, lease->name, &look, failure);
    }
    if (rc == 0) {
        *paused = look.paused != 0;
    }
    return rc;
}

static int store_renew(struct evlog_projection_store *base, const struct evlog_projection_lease *lease, bool *paused,
                       struct evlog_failure *failure)
{
    struct el_sql_store *store = of(base);
    bool answer = false;
    int rc = store->driver->begin(store->driver, failure);
    if (rc != 0) {
        return rc;
    }
    rc = renew(store, lease, &answer, failure);
    if (rc == 0) {
        rc = store->driver->commit(store->driver, failure);
    }
    if (rc != 0) {
        store->driver->rollback(store->driver);
        return rc;
    }
    *paused = answer;
    return 0;
}

static int store_release(struct evlog_projection_store *base, const struct evlog_projection_lease *lease,
                         const char *error, struct evlog_failure *failure)
{
    struct el_sql_store *store = of(base);
    struct evlog_sql_value values[] = {
        EL_SQL_V_TEXT(error == NULL ? "" : error),
        EL_SQL_V_INT(error == NULL ? 0 : 1),
        EL_SQL_V_TEXT(lease->name),
        EL_SQL_V_INT(lease->fence),
        EL_SQL_V_INT(lease->generation),
    };
    struct el_sql_run run = {EL_SQL_OWN_RELEASE, values, 5, NULL, NULL, NULL};
    int rc = store->driver->begin(store->driver, failure);
    if (rc != 0) {
        return rc;
    }
    rc = el_sql_store_run(store, &run, failure);
    if (rc == 0) {
        rc = store->driver->commit(store->driver, failure);
    }
    if (rc != 0) {
        store->driver->rollback(store->driver);
    }
    return rc;
}

/* --- transactions of a run ---------------------------------------------------------------------------------------- */

static int store_begin(struct evlog_projection_store *base, struct evlog_failure *failure)
{
    return of(base)->driver->begin(of(base)->driver, failure);
}

static void store_hurry(struct evlog_projection_store *base)
{
    struct evlog_sql_driver *driver = of(base)->driver;
    if (driver->hurry != NULL) {
        driver->hurry(driver);
    }
}

static int store_settle(struct evlog_projection_store *base, struct evlog_failure *failure)
{
    struct evlog_sql_driver *driver = of(base)->driver;
    return driver->settle == NULL ? 0 : driver->settle(driver, failure);
}

static int store_commit(struct evlog_projection_store *base, struct evlog_failure *failure)
{
    return of(base)->driver->commit(of(base)->driver, failure);
}

static void store_rollback(struct evlog_projection_store *base)
{
    of(base)->driver->rollback(of(base)->driver);
}

static int take_number(void *arg, const struct evlog_sql_value *columns, size_t column_count)
{
    EL_ASSERT(column_count == 1);
    *(int64_t *)arg = columns[0].number;
    return 0;
}

static int store_count(struct evlog_projection_store *base, const struct evlog_projection_lease *lease,
                       const struct evlog_event *event, int64_t *version, struct evlog_failure *failure)
{
    int64_t next = 0;
    struct evlog_sql_value values[] = {
        EL_SQL_V_TEXT(lease->name),
        EL_SQL_V_TEXT(event->topic),
        {.kind = EVLOG_SQL_BYTES, .bytes = event->key},
    };
    struct el_sql_run run = {EL_SQL_OWN_COUNT, values, 3, take_number, &next, NULL};
    int rc = el_sql_store_run(of(base), &run, failure);
    if (rc == 0) {
        *version = next - 1;
    }
    return rc;
}

static int moved_by_other(const struct evlog_projection_lease *lease, const struct evlog_projection_move *move,
                          struct evlog_failure *failure)
{
    return el_fail(failure, EVLOG_ERR_CONFLICT,
                   "projection %s is not at offset %lld of %s[%d] any more: somebody else has moved it", lease->name,
                   (long long)move->old_offset, move->position.topic, move->position.partition);
}

/* The place of a lane, ahead of the checkpoint. */
static int save_lane(struct el_sql_store *store, const struct evlog_projection_lease *lease,
                     const struct evlog_projection_move *move, struct evlog_failure *failure)
{
    const struct evlog_projection_position *position = &move->position;
    char topic_id[33];
    int64_t changed = 0;
    bool is_new = move->old_offset < 0;
    el_hex(topic_id, position->topic_id, sizeof position->topic_id);
    struct evlog_sql_value values[] = {
        EL_SQL_V_TEXT(topic_id),      EL_SQL_V_INT(position->leader_epoch), EL_SQL_V_INT(position->next_offset),
        EL_SQL_V_TEXT(lease->name),   EL_SQL_V_TEXT(position->topic),       EL_SQL_V_INT(position->partition),
        EL_SQL_V_INT(position->lane), EL_SQL_V_INT(position->lane_count),   EL_SQL_V_INT(move->old_offset),
    };
    struct el_sql_run run = {
        is_new ? EL_SQL_OWN_LANE_PLACE : EL_SQL_OWN_LANE_MOVE, values, is_new ? 8 : 9, NULL, NULL, &changed};
    int rc = el_sql_store_run(store, &run, failure);
    return (rc == 0 && changed != 1) || rc == EVLOG_ERR_INVALID_RECORD ? moved_by_other(lease, move, failure) : rc;
}

/* The checkpoint has passed the lanes. */
static int level(struct el_sql_store *store, const struct evlog_projection_lease *lease,
                 const struct evlog_projection_position *position, struct evlog_failure *failure)
{
    struct evlog_sql_value values[] = {
        EL_SQL_V_TEXT(lease->name),
        EL_SQL_V_TEXT(position->topic),
        EL_SQL_V_INT(position->partition),
        EL_SQL_V_INT(position->next_offset),
    };
    struct el_sql_run run = {EL_SQL_OWN_LANE_LEVEL, values, 4, NULL, NULL, NULL};
    return el_sql_store_run(store, &run, failure);
}

static int save_position(struct el_sql_store *store, const struct evlog_projection_lease *lease,
                         const struct evlog_projection_move *move, struct evlog_failure *failure)
{
    const struct evlog_projection_position *position = &move->position;
    char topic_id[33];
    int64_t changed = 0;
    el_hex(topic_id, position->topic_id, sizeof position->topic_id);
    struct evlog_sql_value values[] = {
        EL_SQL_V_TEXT(topic_id),
        EL_SQL_V_INT(position->leader_epoch),
        EL_SQL_V_INT(position->next_offset),
        EL_SQL_V_INT(position->append_time_ns),
        EL_SQL_V_INT(position->history_offset),
        EL_SQL_V_INT(position->whole),
        EL_SQL_V_TEXT(position->last_id),
        EL_SQL_V_TEXT(lease->name),
        EL_SQL_V_TEXT(position->topic),
        EL_SQL_V_INT(position->partition),
        EL_SQL_V_INT(move->old_offset),
    };
    bool is_new = move->old_offset < 0;
    struct el_sql_run run = {
        is_new ? EL_SQL_OWN_PLACE : EL_SQL_OWN_MOVE, values, is_new ? 10 : 11, NULL, NULL, &changed};
    int rc = el_sql_store_run(store, &run, failure);
    if ((rc == 0 && changed != 1) || rc == EVLOG_ERR_INVALID_RECORD) {
        return moved_by_other(lease, move, failure);
    }
    return rc == 0 && move->levels ? level(store, lease, position, failure) : rc;
}

static int store_save(struct evlog_projection_store *base, const struct evlog_projection_lease *lease,
                      const struct evlog_projection_move *moves, size_t move_count,
                      const struct evlog_projection_gain *gain, struct evlog_failure *failure)
{
    struct el_sql_store *store = of(base);
    struct evlog_sql_value values[] = {
        EL_SQL_V_INT(lease->lease_ms), EL_SQL_V_INT(gain->applied),     EL_SQL_V_INT(gain->skipped),
        EL_SQL_V_INT(gain->dead),      EL_SQL_V_INT(gain->rate_milli),  EL_SQL_V_TEXT(lease->name),
        EL_SQL_V_INT(lease->fence),    EL_SQL_V_INT(lease->generation),
    };
    struct el_sql_run run = {EL_SQL_OWN_SAVE, values, 8, NULL, NULL, NULL};
    int rc = run_mine(store, lease, &run, failure);
    for (size_t i = 0; rc == 0 && i < move_count; i++) {
        rc = moves[i].position.lane_count > 0 ? save_lane(store, lease, &moves[i], failure)
                                              : save_position(store, lease, &moves[i], failure);
    }
    return rc;
}

/* --- looking ------------------------------------------------------------------------------------------------------ */

struct tell {
    evlog_projection_position_fn position_fn;
    evlog_projection_row_fn row_fn;
    void *arg;
    uint64_t count;
};

static uint8_t digit_of(char c)
{
    return (uint8_t)(c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 0);
}

static void read_topic_id(const struct evlog_sql_value *value, uint8_t topic_id[16])
{
    char hex[33];
    el_sql_text_of(value, hex, sizeof hex);
    for (size_t i = 0; strlen(hex) == 32 && i < 16; i++) {
        topic_id[i] = (uint8_t)(digit_of(hex[2 * i]) << 4 | digit_of(hex[2 * i + 1]));
    }
}

static int tell_lane(void *arg, const struct evlog_sql_value *columns, size_t column_count)
{
    struct tell *tell = arg;
    char topic[256];
    EL_ASSERT(column_count == 7);
    el_sql_text_of(&columns[0], topic, sizeof topic);
    struct evlog_projection_position position = {
        .topic = topic,
        .partition = (int32_t)columns[1].number,
        .leader_epoch = (int32_t)columns[3].number,
        .next_offset = columns[4].number,
        .append_time_ns = -1,
        .lane = (int32_t)columns[5].number,
        .lane_count = (int32_t)columns[6].number,
    };
    read_topic_id(&columns[2], position.topic_id);
    return tell->position_fn(tell->arg, &position);
}

static int tell_position(void *arg, const struct evlog_sql_value *columns, size_t column_count)
{
    struct tell *tell = arg;
    char topic[256];
    EL_ASSERT(column_count == 9);
    el_sql_text_of(&columns[0], topic, sizeof topic);
    struct evlog_projection_position position = {
        .topic = topic,
        .partition = (int32_t)columns[1].number,
        .leader_epoch = (int32_t)columns[3].number,
        .next_offset = columns[4].number,
        .append_time_ns = columns[5].number,
        .history_offset = columns[6].number,
        .whole = columns[7].number != 0,
    };
    read_topic_id(&columns[2], position.topic_id);
    el_sql_text_of(&columns[8], position.last_id, sizeof position.last_id);
    tell->count++;
    return tell->position_fn(tell->arg, &position);
}

static int store_positions(struct evlog_projection_store *base, const char *name, evlog_projection_position_fn fn,
                           void *arg, struct evlog_failure *failure)
{
    struct tell tell = {.position_fn = fn, .arg = arg};
    struct evlog_sql_value values[] = {EL_SQL_V_TEXT(name)};
    struct el_sql_run run = {EL_SQL_OWN_POSITIONS, values, 1, tell_position, &tell, NULL};
    struct el_sql_run lanes = {EL_SQL_OWN_LANES, values, 1, tell_lane, &tell, NULL};
    int rc = el_sql_store_run(of(base), &run, failure);
    rc = rc == 0 ? el_sql_store_run(of(base), &lanes, failure) : rc;
    return rc == EVLOG_ERR_DATABASE ? no_such(name, failure) : rc;
}

static int store_lane(struct evlog_projection_store *base, struct evlog_projection_store **lane,
                      struct evlog_failure *failure)
{
    struct evlog_sql_driver *driver = of(base)->driver, *other;
    if (driver->again == NULL) {
        (void)el_fail(failure, EVLOG_ERR_UNSUPPORTED, "%s has one writer: nothing is applied in parallel there",
                      driver->name);
        el_fail_hint(failure, "leave --parallel out, or use PostgreSQL");
        return EVLOG_ERR_UNSUPPORTED;
    }
    int rc = driver->again(driver, &other, failure);
    if (rc == 0) {
        rc = evlog_sql_store_open(other, lane, failure);
        if (rc != 0) {
            other->close(other, false);
        }
    }
    return rc;
}

static int tell_row(void *arg, const struct evlog_sql_value *columns, size_t column_count)
{
    struct tell *tell = arg;
    char mark[EL_PROCESS_MARK_MAX];
    EL_ASSERT(column_count == 15);
    struct evlog_projection_row row = {
        .generation = columns[1].number,
        .paused = columns[6].number != 0,
        .applied = columns[7].number,
        .skipped = columns[8].number,
        .dead = columns[9].number,
        .rate_milli = columns[10].number,
        .saved_ms = columns[11].number,
        .error_ms = columns[12].number,
    };
    el_sql_text_of(&columns[0], row.name, sizeof row.name);
    el_sql_text_of(&columns[2], row.who, sizeof row.who);
    el_sql_text_of(&columns[3], mark, sizeof mark);
    el_sql_text_of(&columns[13], row.error, sizeof row.error);
    el_sql_text_of(&columns[14], row.definition, sizeof row.definition);
    row.running = is_held(row.who, mark, columns[4].number - columns[5].number);
    if (!row.running) {
        row.who[0] = '\0';
    }
    tell->count++;
    return tell->row_fn(tell->arg, &row);
}

static int store_rows(struct evlog_projection_store *base, const char *name, evlog_projection_row_fn fn, void *arg,
                      struct evlog_failure *failure)
{
    struct tell tell = {.row_fn = fn, .arg = arg};
    struct evlog_sql_value values[] = {EL_SQL_V_TEXT(name == NULL ? "" : name)};
    struct el_sql_run run = {EL_SQL_OWN_ROWS, values, 0, tell_row, &tell, NULL};
    if (name != NULL) {
        run.own = EL_SQL_OWN_ROW;
        run.value_count = 1;
    }
    int rc = el_sql_store_run(of(base), &run, failure);
    if (rc == EVLOG_ERR_DATABASE && name == NULL) {
        return 0; /* no table: no projection */
    }
    bool missing = name != NULL && (rc == EVLOG_ERR_DATABASE || (rc == 0 && tell.count == 0));
    return missing ? no_such(name, failure) : rc;
}

static int store_set_paused(struct evlog_projection_store *base, const char *name, bool paused,
                            struct evlog_failure *failure)
{
    struct el_sql_store *store = of(base);
    int64_t changed = 0;
    struct evlog_sql_value values[] = {EL_SQL_V_INT(paused), EL_SQL_V_TEXT(name)};
    struct el_sql_run run = {EL_SQL_OWN_PAUSE, values, 2, NULL, NULL, &changed};
    int rc = store->driver->begin(store->driver, failure);
    if (rc != 0) {
        return rc;
    }
    rc = el_sql_store_run(store, &run, failure);
    rc = rc == EVLOG_ERR_DATABASE || (rc == 0 && changed == 0) ? no_such(name, failure) : rc;
    if (rc == 0) {
        rc = store->driver->commit(store->driver, failure);
    }
    if (rc != 0) {
        store->driver->rollback(store->driver);
    }
    return rc;
}

/* --- life --------------------------------------------------------------------------------------------------------- */

static void store_close(struct evlog_projection_store *base, bool drop)
{
    struct el_sql_store *store = of(base);
    for (size_t i = 0; i < EL_SQL_OWN_STATEMENTS; i++) {
        if (store->prepared[i] != NULL) {
            store->driver->finish(store->driver, store->prepared[i]);
        }
    }
    store->driver->close(store->driver, drop);
    el_free(store);
}

static const struct evlog_projection_store_calls calls = {
    .size = sizeof calls,
    .claim = store_claim,
    .renew = store_renew,
    .release = store_release,
    .begin = store_begin,
    .count = store_count,
    .save = store_save,
    .hurry = store_hurry,
    .settle = store_settle,
    .commit = store_commit,
    .rollback = store_rollback,
    .lane = store_lane,
    .positions = store_positions,
    .rows = store_rows,
    .set_paused = store_set_paused,
    .stage = el_sql_store_stage,
    .swap = el_sql_store_swap,
    .compare = el_sql_store_compare,
    .close = store_close,
};

int evlog_sql_store_open(struct evlog_sql_driver *driver, struct evlog_projection_store **store,
                         struct evlog_failure *failure)
{
    struct el_sql_store *fresh = el_calloc(1, sizeof *fresh);
    if (fresh == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a store");
    }
    fresh->base.calls = &calls;
    fresh->driver = driver;
    *store = &fresh->base;
    return 0;
}

struct evlog_sql_driver *evlog_sql_store_driver(struct evlog_projection_store *store)
{
    EL_ASSERT(store->calls == &calls);
    return of(store)->driver;
}

void evlog_projection_store_close(struct evlog_projection_store *store)
{
    if (store != NULL) {
        store->calls->close(store, false);
    }
}
