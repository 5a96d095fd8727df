/* SPDX-License-Identifier: Apache-2.0
 *
 * The scanner under core/json.h, token by token: for readers that want no tree (patterns) and for places in messages.
 */
#ifndef EL_CORE_JSON_SCAN_H
#define EL_CORE_JSON_SCAN_H

#include <core/json.h>

enum el_json_token {
    EL_JSON_TOKEN_NONE,
    EL_JSON_TOKEN_OBJECT,
    EL_JSON_TOKEN_OBJECT_END,
    EL_JSON_TOKEN_ARRAY,
    EL_JSON_TOKEN_ARRAY_END,
    EL_JSON_TOKEN_KEY, /* of a member; its value is the next token */
    EL_JSON_TOKEN_STRING,
    EL_JSON_TOKEN_NUMBER,
    EL_JSON_TOKEN_TRUE,
    EL_JSON_TOKEN_FALSE,
    EL_JSON_TOKEN_NULL,
    EL_JSON_TOKEN_END, /* of the document: it was one, and nothing follows */
};

enum el_json_expect {
    EL_JSON_EXPECT_VALUE,
    EL_JSON_EXPECT_VALUE_OR_END,
    EL_JSON_EXPECT_KEY,
    EL_JSON_EXPECT_KEY_OR_END,
    EL_JSON_EXPECT_NEXT,
};

struct el_json_walk {
    enum el_json_token token;
    const uint8_t *start; /* first byte of the token, the quote of a string */
    const uint8_t *stop;  /* behind its last byte, which is a quote too */
    bool escaped;         /* the string or key has a backslash in it */
    unsigned depth;       /* arrays and objects open behind the token */
    /* the scanner's own */
    const uint8_t *base;
    const uint8_t *p;
    const uint8_t *end;
    uint8_t is_object[EL_JSON_DEPTH_MAX / 8]; /* bit per open level */
    unsigned depth_max;
    enum el_json_expect expect;
    int code;        /* 0 or the refusal, which is about the byte at p */
    const char *why; /* its reason */
};

/* Stand before the first token. data is borrowed for the walk; depth_max 1 .. EL_JSON_DEPTH_MAX. */
void el_json_walk_begin(struct el_json_walk *walk, const void *data, size_t len, unsigned depth_max);
/* Read the next token; not to be called behind EL_JSON_TOKEN_END or a refusal.
 * returns 0 | EVLOG_ERR_MALFORMED | EVLOG_ERR_TRUNCATED | EVLOG_ERR_LIMIT */
int el_json_walk_next(struct el_json_walk *walk);
/* Put the refusal of el_json_walk_next() and its place into err; returns its code. */
int el_json_walk_refuse(const struct el_json_walk *walk, struct el_error *err);
/* One character of a string or key that a walk handed out, without its quotes; len > 0. returns the bytes it takes */
size_t el_json_scan_char(const uint8_t *text, size_t len, uint32_t *point);

/* Check data and find member name (NULL for none) at the top level; *raw is {NULL, 0} when it is absent.
 * returns 0 | EVLOG_ERR_MALFORMED | EVLOG_ERR_TRUNCATED | EVLOG_ERR_LIMIT */
int el_json_scan(const void *data, size_t len, unsigned depth_max, const char *name, struct el_slice *raw,
                 struct el_error *err);
/* "line 3, column 14 (byte 52): why" for byte pos of data; returns code. */
int el_json_scan_refuse(struct el_error *err, int code, const void *data, size_t pos, const char *why);

#endif
