/* SPDX-License-Identifier: Apache-2.0
 *
 * --data TEXT | @FILE | -: bytes from the command line, of a file, or of stdin.
 */
#ifndef EVLOG_TOOLS_DATA_ARGUMENT_H
#define EVLOG_TOOLS_DATA_ARGUMENT_H

#include "cli.h"

/* The bytes that an argument stands for.
 *
 * room     all zero; holds what was read, and is the caller's to free
 * bytes    written on success: in text or in room; never null
 * returns  CLI_OK | an exit code, told
 */
int data_argument(const struct cli *cli, const char *text, struct el_buffer *room, struct evlog_bytes *bytes);
/* All of a file, of at most 64 MiB.
 *
 * option   stands in front of its name in messages, such as "--data @", or ""
 * path     NULL: standard input
 * out      what was read is appended
 * returns  CLI_OK | an exit code, told
 */
int data_read(const struct cli *cli, const char *option, const char *path, struct el_buffer *out);

#endif
