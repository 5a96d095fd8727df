/* SPDX-License-Identifier: Apache-2.0
 *
 * The fuzz target that must be caught: it reads one byte past any input that begins like its corpus file but for the
 * fourth byte. It shows that mutations reach the target, that the sanitizer is on and that a finding fails the run.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    volatile uint8_t sink = 0;
    if (len >= 4 && memcmp(data, "EVL", 3) == 0 && data[3] != '0') {
        sink = data[len];
    }
    (void)sink;
    return 0;
}
