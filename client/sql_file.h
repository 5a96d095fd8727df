/* SPDX-License-Identifier: Apache-2.0
 *
 * A projection written in SQL, as its text says: bytes in, tables out. Knows no database. docs/projections.md describes
 * the file.
 */
#ifndef EL_CLIENT_SQL_FILE_H
#define EL_CLIENT_SQL_FILE_H

#include <core/arena.h>
#include <core/bytes.h>
#include <core/err.h>
#include <stdbool.h>

#define EL_SQL_FILE_LEN_MAX (1u << 20)
#define EL_SQL_TOPIC_MAX 64
#define EL_SQL_FILTER_MAX 5
#define EL_SQL_TYPE_MAX 1000      /* of one block */
#define EL_SQL_STATEMENT_MAX 4096 /* of a file */
#define EL_SQL_PARAM_MAX 1000     /* of a statement */
#define EL_SQL_PATH_MAX 255       /* bytes behind ":data." */

enum el_sql_source {
    EL_SQL_KEY,
    EL_SQL_VERSION,
    EL_SQL_TYPE,
    EL_SQL_ID,
    EL_SQL_TIME,
    EL_SQL_APPEND_TIME,
    EL_SQL_TOPIC,
    EL_SQL_PARTITION,
    EL_SQL_OFFSET,
    EL_SQL_DATA,
    EL_SQL_FIELD,   /* inside data, by path */
    EL_SQL_ERASED,  /* a sealed field of the event was erased */
    EL_SQL_SUBJECT, /* pseudonym of whom a sealed field is about, by path */
};

struct el_sql_param {
    enum el_sql_source source;
    const char *path; /* of a field or its subject: names with dots between them; else NULL */
    uint32_t line;
    bool optional; /* null when there is no such field */
};

struct el_sql_statement {
    struct el_sql_statement *next; /* of its block */
    const char *text;              /* with $1, $2, ... for parameters */
    uint32_t line;                 /* where text begins */
    uint32_t param_count;
    struct el_sql_param *params; /* [param_count] */
    uint32_t index;              /* in the file, from 0 */
};

struct el_sql_block {
    struct el_sql_block *next;
    uint32_t line;
    bool any;               /* every type, and events without one */
    struct el_slice *types; /* [type_count] */
    uint32_t type_count;
    struct el_sql_statement *statements; /* in the file's order */
};

struct el_sql_file {
    struct el_arena arena; /* holds all below */
    const char *path;
    const char *name;
    const char *topics[EL_SQL_TOPIC_MAX];
    uint32_t topic_count;
    const char *filters[EL_SQL_FILTER_MAX];
    uint32_t filter_count;
    const char *setup; /* NULL: none */
    uint32_t setup_line;
    struct el_sql_block *blocks; /* in the file's order */
    uint32_t statement_count;
    bool uses_version;
    bool uses_erased;    /* it has heard of erasure */
    char definition[65]; /* hex of a hash of all but name and path */
};

/* Read a file.
 *
 * file     all zero; to be freed by el_sql_file_free(), also after a failure
 * path     for messages
 * returns  0 | EVLOG_ERR_MALFORMED | EVLOG_ERR_LIMIT | EVLOG_ERR_NO_MEMORY; the text begins with "path:line: "
 */
int el_sql_file_read(struct el_sql_file *file, const char *path, const void *text, size_t len, struct el_error *err);
void el_sql_file_free(struct el_sql_file *file);

/* --- sql_scan.c --- */

enum el_sql_token {
    EL_SQL_END,
    EL_SQL_SPACE,   /* blanks and line breaks */
    EL_SQL_COMMENT, /* either kind */
    EL_SQL_MARK,    /* a comment of two dashes that begins its line */
    EL_SQL_PARAM,   /* :name */
    EL_SQL_SEMICOLON,
    EL_SQL_OTHER, /* literals, words, operators */
};
struct el_sql_scan {
    const uint8_t *p, *end;
    const uint8_t *token; /* first byte of the present token; it ends at p */
    uint32_t line;        /* of p */
    uint32_t token_line;  /* of token */
    bool at_line_start;   /* only blanks on this line before p */
    const char *fault;    /* what is wrong, NULL: nothing */
};
void el_sql_scan_init(struct el_sql_scan *scan, const void *text, size_t len);
/* The next token; EL_SQL_END with fault set when a literal or comment does not end. */
enum el_sql_token el_sql_scan_next(struct el_sql_scan *scan);

#endif
