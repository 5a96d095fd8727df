/* SPDX-License-Identifier: Apache-2.0
 *
 * A projection whose handlers are the statements of a file: the callbacks that the engine calls.
 *
 * 1. on_setup runs the setup in the transaction that makes the projection.
 * 2. on_start prepares every statement, so that a fault in the SQL, a table that is gone or a column that is missing
 *    ends the run before an event is touched, with the file's line.
 * 3. on_event runs the statements of all blocks that name the event's type, in the file's order.
 *
 * A statement that fails is told with file, line and the event's place.
 */
#include "fail.h"
#include "sql_values.h"

#include <core/alloc.h>
#include <core/assert.h>
#include <stdio.h>

/* A connection on which it runs: one, or one a lane. */
struct session {
    const struct evlog_projection_store *store;
    struct evlog_sql_driver *driver;
    void **prepared; /* [statement_count] of the file, NULL: not prepared */
    struct evlog_sql_value values[EL_SQL_PARAM_MAX];
};

struct evlog_sql_projection {
    struct el_sql_file file;
    struct evlog_key_store *keys;                                /* opens sealed fields, or NULL */
    struct session *sessions[EVLOG_PROJECTION_PARALLEL_MAX + 1]; /* [session_count] */
    uint32_t session_count;                                      /* does not change while threads run */
};

/* --- setup and start ---------------------------------------------------------------------------------------------- */

/* Line of a byte of a text that begins on line first. */
static uint32_t line_of(const char *text, size_t pos, uint32_t first)
{
    uint32_t line = first;
    for (size_t i = 0; i < pos && text[i] != '\0'; i++) {
        line += text[i] == '\n';
    }
    return line;
}

static void at_line(const struct el_sql_file *file, const char *text, size_t pos, uint32_t first,
                    struct evlog_failure *failure)
{
    uint32_t line = pos == SIZE_MAX ? first : line_of(text, pos, first);
    el_fail_wrap(failure, "%s:%u", file->path, line);
}

static int on_setup(void *arg, struct evlog_projection_store *store, struct evlog_failure *failure)
{
    struct evlog_sql_projection *projection = arg;
    const struct el_sql_file *file = &projection->file;
    struct evlog_sql_driver *driver = evlog_sql_store_driver(store);
    size_t pos = SIZE_MAX;
    if (file->setup == NULL) {
        return 0;
    }
    int rc = driver->script(driver, file->setup, &pos, failure);
    if (rc != 0) {
        at_line(file, file->setup, pos, file->setup_line, failure);
    }
    return rc;
}

static struct session *session_of(const struct evlog_sql_projection *projection,
                                  const struct evlog_projection_store *store)
{
    for (uint32_t i = 0; i < projection->session_count; i++) {
        if (projection->sessions[i]->store == store) {
            return projection->sessions[i];
        }
    }
    return NULL;
}

static void session_free(const struct evlog_sql_projection *projection, struct session *session)
{
    for (uint32_t i = 0; session->prepared != NULL && i < projection->file.statement_count; i++) {
        if (session->prepared[i] != NULL) {
            session->driver->finish(session->driver, session->prepared[i]);
        }
    }
    el_free(session->prepared);
    el_free(session);
}

static int on_end(void *arg, struct evlog_projection_store *store, struct evlog_failure *failure)
{
    struct evlog_sql_projection *projection = arg;
    (void)failure;
    for (uint32_t i = 0; i < projection->session_count; i++) {
        if (projection->sessions[i]->store == store) {
            session_free(projection, projection->sessions[i]);
            projection->sessions[i] = projection->sessions[--projection->session_count];
            break;
        }
    }
    return 0;
}

static int prepare(const struct evlog_sql_projection *projection, struct session *session,
                   const struct el_sql_statement *s, struct evlog_failure *failure)
{
    size_t pos = SIZE_MAX;
    void **prepared = &session->prepared[s->index];
    int rc = session->driver->prepare(session->driver, s->text, s->param_count, prepared, &pos, failure);
    if (rc != 0) {
        *prepared = NULL;
        at_line(&projection->file, s->text, pos, s->line, failure);
    }
    return rc;
}

static int on_start(void *arg, struct evlog_projection_store *store, struct evlog_failure *failure)
{
    struct evlog_sql_projection *projection = arg;
    struct session *session = el_calloc(1, sizeof *session);
    EL_ASSERT(session_of(projection, store) == NULL);
    EL_ASSERT(projection->session_count <= EVLOG_PROJECTION_PARALLEL_MAX);
    if (session != NULL) {
        session->store = store;
        session->driver = evlog_sql_store_driver(store);
        session->prepared = el_calloc(EL_MAX(projection->file.statement_count, 1u), sizeof *session->prepared);
    }
    if (session == NULL || session->prepared == NULL) {
        el_free(session);
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for the statements of %s", projection->file.path);
    }
    int rc = 0;
    for (struct el_sql_block *block = projection->file.blocks; rc == 0 && block != NULL; block = block->next) {
        for (struct el_sql_statement *s = block->statements; rc == 0 && s != NULL; s = s->next) {
            rc = prepare(projection, session, s, failure);
        }
    }
    if (rc != 0) {
        session_free(projection, session);
        return rc;
    }
    projection->sessions[projection->session_count++] = session;
    return 0;
}

/* --- events ------------------------------------------------------------------------------------------------------- */

static bool takes(const struct el_sql_block *block, struct el_slice type)
{
    if (block->any) {
        return true;
    }
    for (uint32_t i = 0; type.data != NULL && i < block->type_count; i++) {
        if (el_slice_eq(block->types[i], type)) {
            return true;
        }
    }
    return false;
}

static const char *name_of(const struct el_sql_param *param)
{
    return param->source == EL_SQL_FIELD     ? ":data."
           : param->source == EL_SQL_SUBJECT ? ":subject."
           : param->source == EL_SQL_ERASED  ? ":erased"
                                             : ":data";
}

static int run_statement(const struct evlog_sql_projection *projection, struct session *session,
                         const struct el_sql_statement *s, struct el_sql_event *looked_at,
                         struct evlog_failure *failure)
{
    const struct evlog_event *event = looked_at->event->event;
    struct el_error err = {0};
    for (uint32_t i = 0; i < s->param_count; i++) {
        const struct el_sql_param *param = &s->params[i];
        int rc = el_sql_value_of(looked_at, param, &session->values[i], &err);
        if (rc != 0) {
            bool of_seal = rc == EVLOG_ERR_SEALED || rc == EVLOG_ERR_ERASED;
            return el_fail(failure, of_seal ? rc : EVLOG_ERR_INVALID_RECORD, "%s:%u: %s[%d] offset %lld: %s%s %s",
                           projection->file.path, param->line, event->topic, event->partition, (long long)event->offset,
                           name_of(param), param->path == NULL ? "" : param->path, err.text);
        }
    }
    int rc = session->driver->run(session->driver, session->prepared[s->index], session->values, s->param_count, NULL,
                                  NULL, NULL, failure);
    if (rc != 0) {
        el_fail_wrap(failure, "%s:%u: %s[%d] offset %lld", projection->file.path, s->line, event->topic,
                     event->partition, (long long)event->offset);
    }
    return rc;
}

static int open_fields(const struct evlog_sql_projection *projection, const struct evlog_projection_event *event,
                       struct evlog_opened *opened, struct evlog_failure *failure)
{
    int rc = evlog_open(projection->keys, event->event->key, event->id, event->data, opened, failure);
    if (rc != 0) {
        el_fail_wrap(failure, "%s: %s[%d] offset %lld", projection->file.path, event->event->topic,
                     event->event->partition, (long long)event->event->offset);
    }
    return rc;
}

static int on_event(void *arg, struct evlog_projection_store *store, const struct evlog_projection_event *event,
                    struct evlog_failure *failure)
{
    struct evlog_sql_projection *projection = arg;
    struct session *session = session_of(projection, store);
    struct evlog_projection_event shown = *event;
    struct evlog_opened opened = EVLOG_OPENED_INIT;
    struct el_sql_event looked_at = {.event = &shown, .aware = projection->file.uses_erased};
    struct el_slice type = el_slice_of(event->type.data, event->type.len);
    EL_ASSERT(session != NULL);
    int rc = open_fields(projection, event, &opened, failure);
    if (rc == EVLOG_ERR_SEALED) {
        looked_at.sealed = true; /* fine for statements that do not ask for it */
        rc = 0;
    } else if (rc == 0) {
        shown.data = opened.data;
        looked_at.opened = opened.field_count > 0 ? &opened : NULL;
    }
    for (const struct el_sql_block *block = projection->file.blocks; rc == 0 && block != NULL; block = block->next) {
        if (!takes(block, type)) {
            continue;
        }
        for (const struct el_sql_statement *s = block->statements; rc == 0 && s != NULL; s = s->next) {
            rc = run_statement(projection, session, s, &looked_at, failure);
        }
    }
    el_sql_event_free(&looked_at);
    evlog_opened_free(&opened);
    return rc;
}

/* --- public ------------------------------------------------------------------------------------------------------- */

int evlog_sql_projection_parse(const char *path, const void *text, size_t len, struct evlog_sql_projection **file,
                               struct evlog_failure *failure)
{
    struct el_error err = {0};
    struct evlog_sql_projection *fresh = el_calloc(1, sizeof *fresh);
    if (fresh == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory to read %s", path);
    }
    int rc = el_sql_file_read(&fresh->file, path, text, len, &err);
    if (rc != 0) {
        evlog_sql_projection_free(fresh);
        (void)el_fail_from(failure, &err);
        el_fail_hint(failure, "docs/projections.md describes the file");
        return rc;
    }
    *file = fresh;
    return 0;
}

const char *evlog_sql_projection_name(const struct evlog_sql_projection *file)
{
    return file->file.name;
}

void evlog_sql_projection_options(struct evlog_sql_projection *projection, struct evlog_projection_options *options)
{
    const struct el_sql_file *file = &projection->file;
    options->name = file->name;
    options->topics = file->topics;
    options->topic_count = file->topic_count;
    options->filters = file->filters;
    options->filter_count = file->filter_count;
    options->definition = file->definition;
    options->on_setup = on_setup;
    options->on_start = on_start;
    options->on_event = on_event;
    options->on_end = on_end;
    options->arg = projection;
    options->count_versions = file->uses_version;
    options->takes_sealed = true;
}

void evlog_sql_projection_keys(struct evlog_sql_projection *projection, struct evlog_key_store *keys)
{
    projection->keys = keys;
}

void evlog_sql_projection_free(struct evlog_sql_projection *projection)
{
    if (projection != NULL) {
        EL_ASSERT(projection->session_count == 0);
        el_sql_file_free(&projection->file);
        el_free(projection);
    }
}
