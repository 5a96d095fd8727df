/* SPDX-License-Identifier: Apache-2.0
 *
 * A batch with fewer records: what nobody has leased does not go out. A pure function over bytes.
 */
#ifndef EL_LEASE_LEASE_TRIM_H
#define EL_LEASE_LEASE_TRIM_H

#include <lease/lease_table.h>

/* Take out of an uncompressed batch, in place, the records at other offsets than those of grants[grant_count], which
 * rise and lie in it. Base and last offset stay, as compaction leaves them: readers count from there. Left as it is
 * when it is compressed, when little would be saved, or when its records are not as they should be.
 *
 * returns  the length of the batch now */
uint32_t lease_trim_batch(uint8_t *batch, uint32_t len, const struct lease_grant *grants, uint32_t grant_count);

#endif
