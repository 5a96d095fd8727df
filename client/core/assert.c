/* SPDX-License-Identifier: Apache-2.0 */
#include <core/assert.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One write() of a local buffer: the heap and stdio may be what is broken. */
void el_assert_fail(const char *file, int line, const char *text)
{
    char message[512];
    int len = snprintf(message, sizeof(message), "%s:%d: assertion failed: %s\n", file, line, text);
    if (len > 0) {
        ssize_t done = write(STDERR_FILENO, message, strlen(message));
        (void)done;
    }
    abort();
}
