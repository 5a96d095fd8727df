/* SPDX-License-Identifier: Apache-2.0
 *
 * A run of the stream index: what its bytes are. docs/format.md is the specification. Bytes in, bytes out: no I/O here.
 */
#ifndef EL_FORMAT_INDEX_LAYOUT_H
#define EL_FORMAT_INDEX_LAYOUT_H

#include <core/bytes.h>
#include <core/hash.h>

/* Order: slot, hash.high, hash.low, position. */
struct el_stream_entry {
    uint32_t slot;          /* of the partition, in the list of index files */
    struct el_hash128 hash; /* of what it is of, its kind included */
    uint64_t position;      /* version, or offset for types and ids */
    uint64_t place;         /* offset with flags in the top two bits, or version for ids */
};

/* What a run says of itself in its footer. */
struct el_index_run_info {
    uint64_t run_id;
    uint64_t entry_count;
    uint64_t name_count;
    uint64_t block_count; /* of entries */
    uint64_t filter_len;  /* bytes */
    uint64_t file_len;
};

#endif
