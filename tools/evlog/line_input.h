/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines of a file, of stdin ("-") or of bytes in memory, gzip-compressed or not. One thread.
 */
#ifndef EVLOG_TOOLS_LINE_INPUT_H
#define EVLOG_TOOLS_LINE_INPUT_H

#include <core/buffer.h>
#include <core/err.h>
#include <stdbool.h>

#define LINE_LEN_MAX (64u << 20) /* a longer line is refused */

struct line_input;

/* Open a file; "-" is stdin.
 *
 * returns  0 | EVLOG_ERR_NOT_FOUND, EVLOG_ERR_IO and the like, with the name in the text | EVLOG_ERR_NO_MEMORY
 */
int line_input_open(const char *path, struct line_input **input, struct el_error *err);
/* Read from memory; borrowed until closed. */
int line_input_memory(const void *data, size_t len, struct line_input **input, struct el_error *err);
/* While *stop is set, what is not there yet is not waited for: EVLOG_ERR_CLOSED. Borrowed until closed. */
void line_input_stop_on(struct line_input *input, const volatile int *stop);
/* The next line without its line feed (and carriage return); valid until the next call.
 *
 * returns  1 a line | 0 the end | EVLOG_ERR_IO | EVLOG_ERR_CORRUPT compressed data is broken or ends too early |
 *          EVLOG_ERR_CLOSED | EVLOG_ERR_LIMIT line too long | EVLOG_ERR_NO_MEMORY
 */
int line_input_next(struct line_input *input, struct el_slice *line, struct el_error *err);
/* Number of the line that was given last, from 1. */
uint64_t line_input_number(const struct line_input *input);
void line_input_close(struct line_input *input);

#endif
