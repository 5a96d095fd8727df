/* SPDX-License-Identifier: Apache-2.0
 *
 * SQL in tokens, as far as a projection's file needs them: what is a literal or a comment, and so holds no parameter
 * and no end of a statement. Literals: '...' (E'...' with backslashes), "...", `...`, $tag$...$tag$ as PostgreSQL has
 * them.
 */
#include "sql_file.h"

void el_sql_scan_init(struct el_sql_scan *scan, const void *text, size_t len)
{
    *scan = (struct el_sql_scan){.p = text, .line = 1, .token_line = 1, .at_line_start = true};
    scan->end = scan->p + len;
    scan->token = scan->p;
}

static uint8_t peek(const struct el_sql_scan *scan, size_t ahead)
{
    return (size_t)(scan->end - scan->p) > ahead ? scan->p[ahead] : 0;
}

static bool is_word(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c >= 0x80;
}

static bool is_word_start(uint8_t c)
{
    return is_word(c) && !(c >= '0' && c <= '9');
}

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

static void step(struct el_sql_scan *scan, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        scan->line += scan->p[i] == '\n';
    }
    scan->p += len;
}

static enum el_sql_token fault(struct el_sql_scan *scan, const char *what)
{
    scan->fault = what;
    return EL_SQL_END;
}

/* A literal between quotes; a doubled quote stands for itself. */
static enum el_sql_token quoted(struct el_sql_scan *scan, bool backslashes)
{
    uint8_t quote = *scan->p;
    step(scan, 1);
    while (scan->p < scan->end) {
        uint8_t c = *scan->p;
        if (c == quote && peek(scan, 1) != quote) {
            step(scan, 1);
            return EL_SQL_OTHER;
        }
        bool pair = c == quote || (backslashes && c == '\\');
        step(scan, pair && scan->end - scan->p > 1 ? 2 : 1);
    }
    return fault(scan, quote == '\'' ? "a text in quotes does not end" : "a name in quotes does not end");
}

static enum el_sql_token block_comment(struct el_sql_scan *scan)
{
    step(scan, 2);
    while (scan->p < scan->end) {
        if (*scan->p == '*' && peek(scan, 1) == '/') {
            step(scan, 2);
            return EL_SQL_COMMENT;
        }
        step(scan, 1);
    }
    return fault(scan, "a comment does not end");
}

static enum el_sql_token line_comment(struct el_sql_scan *scan, bool marks)
{
    const uint8_t *stop = memchr(scan->p, '\n', (size_t)(scan->end - scan->p));
    step(scan, (size_t)((stop == NULL ? scan->end : stop) - scan->p));
    return marks ? EL_SQL_MARK : EL_SQL_COMMENT;
}

/* $tag$ ... $tag$, or a dollar sign. */
static enum el_sql_token dollar(struct el_sql_scan *scan)
{
    size_t len = 1;
    while (is_word(peek(scan, len))) {
        len++;
    }
    if (peek(scan, len) != '$') {
        step(scan, 1);
        return EL_SQL_OTHER;
    }
    const uint8_t *tag = scan->p;
    len++;
    step(scan, len);
    while ((size_t)(scan->end - scan->p) >= len) {
        if (memcmp(scan->p, tag, len) == 0) {
            step(scan, len);
            return EL_SQL_OTHER;
        }
        step(scan, 1);
    }
    return fault(scan, "a text between dollar signs does not end");
}

/* :name, :data.path.to.field, with a question mark behind it when it may be missing. */
static enum el_sql_token colon(struct el_sql_scan *scan)
{
    if (peek(scan, 1) == ':') {
        step(scan, 2); /* a cast */
        return EL_SQL_OTHER;
    }
    if (!is_word_start(peek(scan, 1))) {
        step(scan, 1);
        return EL_SQL_OTHER;
    }
    size_t len = 1;
    while (is_word(peek(scan, len)) || (peek(scan, len) == '.' && is_word(peek(scan, len + 1)))) {
        len++;
    }
    step(scan, len + (peek(scan, len) == '?'));
    return EL_SQL_PARAM;
}

static enum el_sql_token word(struct el_sql_scan *scan)
{
    if ((*scan->p == 'e' || *scan->p == 'E') && peek(scan, 1) == '\'') {
        step(scan, 1);
        return quoted(scan, true);
    }
    size_t len = 1;
    while (is_word(peek(scan, len)) || peek(scan, len) == '$') {
        len++;
    }
    step(scan, len);
    return EL_SQL_OTHER;
}

static enum el_sql_token space(struct el_sql_scan *scan)
{
    while (scan->p < scan->end && is_space(*scan->p)) {
        scan->at_line_start = scan->at_line_start || *scan->p == '\n';
        step(scan, 1);
    }
    return EL_SQL_SPACE;
}

enum el_sql_token el_sql_scan_next(struct el_sql_scan *scan)
{
    scan->token = scan->p;
    scan->token_line = scan->line;
    if (scan->p == scan->end) {
        return EL_SQL_END;
    }
    if (is_space(*scan->p)) {
        return space(scan);
    }
    bool first = scan->at_line_start;
    scan->at_line_start = false;
    uint8_t c = *scan->p;
    switch (c) {
    case '\'':
    case '"':
    case '`':
        return quoted(scan, false);
    case '$':
        return dollar(scan);
    case ':':
        return colon(scan);
    case ';':
        step(scan, 1);
        return EL_SQL_SEMICOLON;
    case '-':
        if (peek(scan, 1) == '-') {
            return line_comment(scan, first);
        }
        break;
    case '/':
        if (peek(scan, 1) == '*') {
            return block_comment(scan);
        }
        break;
    default:
        if (is_word(c)) {
            return word(scan);
        }
        break;
    }
    step(scan, 1);
    return EL_SQL_OTHER;
}
