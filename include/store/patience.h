/* SPDX-License-Identifier: Apache-2.0
 *
 * Patience with an object store that asks to come again later: for programs that may block.
 *
 *   uint32_t tries = 0;
 *   do {
 *       code = archive_reader_read(...);
 *   } while (object_try_again(code, &tries));
 */
#ifndef EL_STORE_PATIENCE_H
#define EL_STORE_PATIENCE_H

#include <stdbool.h>
#include <stdint.h>

#define OBJECT_TRIES_MAX 9u /* in about a minute */

/* After EVLOG_ERR_AGAIN: wait, longer each time. returns false: it is another code, or was tried often enough */
bool object_try_again(int code, uint32_t *tries);

#endif
