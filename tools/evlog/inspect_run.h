/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EVLOG_CLI_INSPECT_RUN_H
#define EVLOG_CLI_INSPECT_RUN_H

#include "cli.h"

#include <core/bytes.h>

#define INSPECT_RUN_MAGIC "EVLOGRUN"

/* Print what a file of the stream index holds, a line for each block, with every sum computed again and every entry
 * and name decoded. returns how many places do not add up, each told on stderr */
uint64_t inspect_run(const struct cli *cli, const char *path, const uint8_t *data, size_t len);

#endif
