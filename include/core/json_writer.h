/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing JSON into a buffer: commas, escapes and nesting are right by construction. A call in the wrong place (a value
 * without a key, an end without a beginning) is a bug and asserts; a string that is not UTF-8 and memory that runs out
 * set the sticky err. One thread.
 */
#ifndef EL_CORE_JSON_WRITER_H
#define EL_CORE_JSON_WRITER_H

#include <core/buffer.h>
#include <stdbool.h>

#define EL_JSON_WRITER_DEPTH_MAX 32

struct el_json_writer {
    struct el_buffer *out; /* where the text goes, appended to what is there */
    uint32_t is_object;    /* bit per level: object or array */
    uint32_t has_item;     /* bit per level: the next item needs a comma */
    unsigned depth;        /* levels open */
    bool key_written;      /* a key waits for its value */
    int err;               /* 0 | EVLOG_ERR_MALFORMED a string was not UTF-8 | EVLOG_ERR_NO_MEMORY */
};

void el_json_writer_init(struct el_json_writer *w, struct el_buffer *out);
/* Asserts that everything opened has been closed; returns err. The writer may go on with another document. */
int el_json_writer_end(struct el_json_writer *w);

void el_json_begin_object(struct el_json_writer *w);
void el_json_end_object(struct el_json_writer *w);
void el_json_begin_array(struct el_json_writer *w);
void el_json_end_array(struct el_json_writer *w);
/* Name of the next member; inside an object only. */
void el_json_key(struct el_json_writer *w, const char *name);
void el_json_key_slice(struct el_json_writer *w, struct el_slice name);

/* Values. text NULL, or a slice whose data is NULL, is written as null. */
void el_json_put_str(struct el_json_writer *w, const char *text);
void el_json_put_slice(struct el_json_writer *w, struct el_slice text);
/* Bytes of any kind as a base64 string. */
void el_json_put_base64(struct el_json_writer *w, struct el_slice bytes);
void el_json_put_int(struct el_json_writer *w, int64_t value);
void el_json_put_uint(struct el_json_writer *w, uint64_t value);
/* Shortest text that reads back as the same double; NaN and infinity, which JSON lacks, as null. */
void el_json_put_real(struct el_json_writer *w, double value);
void el_json_put_bool(struct el_json_writer *w, bool value);
void el_json_put_null(struct el_json_writer *w);
/* Bytes that are a JSON value already, as they are. */
void el_json_put_raw(struct el_json_writer *w, struct el_slice json);

/* Key and value in one call. */
void el_json_add_str(struct el_json_writer *w, const char *name, const char *text);
void el_json_add_int(struct el_json_writer *w, const char *name, int64_t value);
void el_json_add_uint(struct el_json_writer *w, const char *name, uint64_t value);
void el_json_add_bool(struct el_json_writer *w, const char *name, bool value);

#endif
