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

#endif
