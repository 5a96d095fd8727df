/* SPDX-License-Identifier: Apache-2.0
 *
 * Debian's static libxxhash leaves out the code that chooses the widest vectors of the processor, and which
 * client/core/hash.c calls. An archive has none of these checksums; only tables in memory use them.
 */
#include <xxhash.h>

XXH64_hash_t XXH3_64bits_dispatch(const void *data, size_t len);
XXH128_hash_t XXH3_128bits_withSecret_dispatch(const void *data, size_t len, const void *secret, size_t secret_len);

XXH64_hash_t XXH3_64bits_dispatch(const void *data, size_t len)
{
    return XXH3_64bits(data, len);
}

XXH128_hash_t XXH3_128bits_withSecret_dispatch(const void *data, size_t len, const void *secret, size_t secret_len)
{
    return XXH3_128bits_withSecret(data, len, secret, secret_len);
}
