/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables and lines of JSON. A table is gathered before it is printed, so that its columns are as wide as they must be.
 */
#include "table.h"

#include <core/assert.h>
#include <stdarg.h>
#include <string.h>

void table_begin(struct table *table, const struct table_column *columns, size_t column_count)
{
    EL_ASSERT(column_count <= TABLE_COLUMN_MAX);
    memset(table, 0, sizeof *table);
    table->columns = columns;
    table->column_count = column_count;
}

void table_cell(struct table *table, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    for (char *c = text; *c != '\0'; c++) {
        *c = (unsigned char)*c < ' ' ? '?' : *c; /* a name must not break the line */
    }
    el_buffer_append(&table->cells, text, strlen(text) + 1);
    table->cell_count++;
}

void table_number(struct table *table, int64_t value)
{
    if (value < 0) {
        table_cell(table, "-");
    } else {
        table_cell(table, "%lld", (long long)value);
    }
}

static void widths(const struct table *table, size_t *width)
{
    const char *cell = (const char *)table->cells.data;
    for (size_t i = 0; i < table->column_count; i++) {
        width[i] = strlen(table->columns[i].heading);
    }
    for (size_t i = 0; i < table->cell_count; i++) {
        size_t len = strlen(cell), column = i % table->column_count;
        width[column] = EL_MAX(width[column], len);
        cell += len + 1;
    }
}

static void write_row(const struct table *table, const char **cells, const size_t *width, struct el_buffer *out)
{
    for (size_t i = 0; i < table->column_count; i++) {
        bool last = i + 1 == table->column_count;
        if (table->columns[i].right) {
            el_buffer_printf(out, "%*s", (int)width[i], cells[i]);
        } else {
            el_buffer_printf(out, "%-*s", last ? 0 : (int)width[i], cells[i]);
        }
        el_buffer_append_str(out, last ? "\n" : "  ");
    }
}

static void write_plain(const struct table *table, struct el_buffer *out)
{
    const char *cell = (const char *)table->cells.data;
    for (size_t i = 0; i < table->cell_count; i++) {
        el_buffer_append_str(out, cell);
        el_buffer_append_char(out, (i + 1) % table->column_count == 0 ? '\n' : '\t');
        cell += strlen(cell) + 1;
    }
}

void table_write(const struct cli *cli, struct table *table, struct el_buffer *out)
{
    size_t width[TABLE_COLUMN_MAX];
    const char *cells[TABLE_COLUMN_MAX];
    EL_ASSERT(table->cell_count % table->column_count == 0);
    out->err = out->err != 0 ? out->err : table->cells.err;
    if (table->cell_count == 0 || table->cells.err != 0) {
        return;
    }
    if (cli->plain) {
        write_plain(table, out);
        return;
    }
    widths(table, width);
    for (size_t i = 0; i < table->column_count; i++) {
        cells[i] = table->columns[i].heading;
    }
    write_row(table, cells, width, out);
    const char *cell = (const char *)table->cells.data;
    for (size_t i = 0; i < table->cell_count; i++) {
        cells[i % table->column_count] = cell;
        cell += strlen(cell) + 1;
        if ((i + 1) % table->column_count == 0) {
            write_row(table, cells, width, out);
        }
    }
}

int table_end(const struct cli *cli, struct table *table)
{
    struct el_buffer out = {0};
    table_write(cli, table, &out);
    int rc = cli_put(cli, &out);
    el_buffer_free(&out);
    el_buffer_free(&table->cells);
    return rc;
}

int table_show(const struct cli *cli, const struct table_list *list)
{
    struct table table;
    struct el_buffer line = {0};
    int rc = CLI_OK;
    table_begin(&table, list->columns, list->column_count);
    for (size_t i = 0; rc == CLI_OK && i < list->count; i++) {
        if (cli->json) {
            rc = list->json(cli, list->list, i, &line);
        } else {
            list->cells(&table, list->list, i);
        }
    }
    el_buffer_free(&line);
    int its = table_end(cli, &table);
    if (list->count == 0) {
        cli_say(cli, "%s", list->none);
    }
    return rc != CLI_OK ? rc : its;
}

void cli_json_begin(struct el_json_writer *w, struct el_buffer *line)
{
    el_json_writer_init(w, line);
    el_json_begin_object(w);
}

int cli_json_end(const struct cli *cli, struct el_json_writer *w, struct el_buffer *line)
{
    el_json_end_object(w);
    if (el_json_writer_end(w) != 0) {
        line->err = EVLOG_ERR_NO_MEMORY;
    }
    el_buffer_append_char(line, '\n');
    return cli_put(cli, line);
}

const char *cli_age(int64_t ms, char *text, size_t room)
{
    long long s = (long long)(ms / 1000);
    if (ms < 0) {
        (void)snprintf(text, room, "-");
    } else if (s < 60) {
        (void)snprintf(text, room, "%lld.%llds", s, (long long)(ms % 1000 / 100));
    } else if (s < 3600) {
        (void)snprintf(text, room, "%lldm%02llds", s / 60, s % 60);
    } else if (s < 86400) {
        (void)snprintf(text, room, "%lldh%02lldm", s / 3600, s % 3600 / 60);
    } else {
        (void)snprintf(text, room, "%lldd%lldh", s / 86400, s % 86400 / 3600);
    }
    return text;
}
