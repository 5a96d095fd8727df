/* SPDX-License-Identifier: Apache-2.0
 *
 * A mark of the running process, kept where another process finds it: does its owner still live? Certain only on the
 * same machine since its last start; everything else counts as alive.
 */
#ifndef EL_CLIENT_PROCESS_MARK_H
#define EL_CLIENT_PROCESS_MARK_H

#include <stdbool.h>

#define EL_PROCESS_MARK_MAX 128

/* Mark and description of this process: "process 17 on host db1". */
void el_process_mark(char mark[EL_PROCESS_MARK_MAX], char who[EL_PROCESS_MARK_MAX]);
/* True when the process of that mark has ended for certain. */
bool el_process_gone(const char *mark);

#endif
