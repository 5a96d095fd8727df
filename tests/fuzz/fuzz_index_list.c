/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of the stream index's files read from a damaged or hostile disk, as it is and with both sums and the length
 * put right: what is accepted keeps the order that the index relies on.
 */
#include "memory_disk.h"

#include <core/assert.h>
#include <core/hash.h>
#include <evlog/error.h>
#include <stdlib.h>
#include <stream/index_list.h>

#define HEADER_LEN 128u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void look_into(const uint8_t *data, size_t len)
{
    struct memory_disk m;
    struct index_list list;
    memory_disk_init(&m, data, len);
    if (index_list_load(&m.disk, 0, &list, NULL) != 0) {
        return;
    }
    EL_ASSERT(list.sequence > 0);
    for (uint32_t i = 0; i < list.slot_count; i++) {
        EL_ASSERT(list.slots[i].slot > (i == 0 ? 0 : list.slots[i - 1].slot));
        EL_ASSERT(list.slots[i].slot < list.next_slot);
        EL_ASSERT(list.slots[i].end_offset >= 0);
    }
    for (uint32_t i = 0; i < list.run_count; i++) {
        EL_ASSERT(list.run_ids[i] < list.next_run_id);
    }
    index_list_free(&list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    look_into(data, len);
    if (len < HEADER_LEN) {
        return 0;
    }
    uint8_t *copy = malloc(len);
    EL_ASSERT(copy != NULL);
    memcpy(copy, data, len);
    el_put_le64(copy + 64, len - HEADER_LEN);
    el_put_le64(copy + 72, el_xxh3(copy + HEADER_LEN, len - HEADER_LEN));
    el_put_le64(copy + 120, el_xxh3(copy, 120));
    look_into(copy, len);
    free(copy);
    return 0;
}
