/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables for people (aligned columns below headings) and for scripts (--plain: tabs, no headings).
 */
#ifndef EVLOG_TOOLS_TABLE_H
#define EVLOG_TOOLS_TABLE_H

#include "cli.h"

#define TABLE_COLUMN_MAX 16

struct table_column {
    const char *heading;
    bool right; /* numbers */
};

struct table {
    const struct table_column *columns; /* [column_count] */
    size_t column_count;
    struct el_buffer cells; /* row by row, NUL-terminated */
    size_t cell_count;
};

void table_begin(struct table *table, const struct table_column *columns, size_t column_count);
/* The next cell, row by row. */
void table_cell(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A number, or "-" when it is negative. */
void table_number(struct table *table, int64_t value);
/* A list that is shown as a table, or with --json as one object a line. */
struct table_list {
    const struct table_column *columns; /* [column_count] */
    size_t column_count;
    const void *list;
    size_t count;
    int (*json)(const struct cli *cli, const void *list, size_t index,
                struct el_buffer *line);                                /* CLI_OK or exit code */
    void (*cells)(struct table *table, const void *list, size_t index); /* one for each column */
    const char *none;                                                   /* said when the list is empty */
};
/* returns CLI_OK | exit code, told */
int table_show(const struct cli *cli, const struct table_list *list);

/* Write all rows to out. */
void table_write(const struct cli *cli, struct table *table, struct el_buffer *out);
/* Write all rows to stdout and forget them. returns CLI_OK | CLI_FAILED told */
int table_end(const struct cli *cli, struct table *table);

/* A line of JSON to stdout: begin, add members, end. */
void cli_json_begin(struct el_json_writer *w, struct el_buffer *line);
int cli_json_end(const struct cli *cli, struct el_json_writer *w, struct el_buffer *line);
/* Milliseconds as people say them: 1.2s, 3m20s, 5h10m, 2d4h; "-" when negative. */
const char *cli_age(int64_t ms, char *text, size_t room);

#endif
