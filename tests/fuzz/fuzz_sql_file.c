/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of SQL projections as anybody may write them. The input is the file.
 *
 *   1. a file that is refused comes with a code and a text that names path and line;
 *   2. one that is taken has what a projection needs, inside the limits; each parameter stands in its statement, once;
 *   3. reading it again gives the same definition.
 */
#include "../../client/sql_file.h"

#include <core/assert.h>
#include <evlog/error.h>

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_statement(const struct el_sql_statement *s)
{
    const char *at = s->text;
    EL_ASSERT(s->line >= 1);
    EL_ASSERT(s->param_count <= EL_SQL_PARAM_MAX);
    for (uint32_t i = 0; i < s->param_count; i++) {
        char mark[16];
        (void)snprintf(mark, sizeof mark, "$%u", i + 1);
        at = strstr(at, mark);
        EL_ASSERT(at != NULL);
        bool with_path = s->params[i].source == EL_SQL_FIELD || s->params[i].source == EL_SQL_SUBJECT;
        EL_ASSERT((s->params[i].path != NULL) == with_path);
        EL_ASSERT(s->params[i].line >= s->line);
    }
}

static void check(const struct el_sql_file *file)
{
    uint32_t count = 0;
    EL_ASSERT(file->name != NULL);
    EL_ASSERT(file->topic_count >= 1);
    EL_ASSERT(file->blocks != NULL);
    for (const struct el_sql_block *block = file->blocks; block != NULL; block = block->next) {
        EL_ASSERT(block->type_count >= 1);
        for (const struct el_sql_statement *s = block->statements; s != NULL; s = s->next) {
            check_statement(s);
            count++;
        }
    }
    EL_ASSERT(count == file->statement_count);
    EL_ASSERT(count <= EL_SQL_STATEMENT_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct el_sql_file file = {.path = NULL}, again = {.path = NULL};
    struct el_error err = {0};
    int rc = el_sql_file_read(&file, "f.sql", data, len, &err);
    EL_ASSERT(rc == err.code);
    EL_ASSERT(rc != EVLOG_ERR_NO_MEMORY);
    if (rc == 0) {
        check(&file);
        EL_ASSERT(el_sql_file_read(&again, "g.sql", data, len, &err) == 0);
        EL_ASSERT(strcmp(file.definition, again.definition) == 0);
        el_sql_file_free(&again);
    } else {
        EL_ASSERT(strncmp(err.text, "f.sql:", 6) == 0);
    }
    el_sql_file_free(&file);
    return 0;
}
