/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of proofs: a text is refused with a reason, or is the one text of what it says.
 */
#include <core/assert.h>
#include <evlog/error.h>
#include <format/tlog_proof.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const struct el_hash256 leaf;
    static const struct el_tlog_trust trust = {.key_count = 0};
    struct el_tlog_proof proof;
    struct el_error err = {0};
    struct el_buffer extra = {0}, again = {0};
    int rc = el_tlog_proof_parse(el_slice_of(data, len), &proof, &err);
    if (rc != 0) {
        EL_ASSERT(rc == EVLOG_ERR_MALFORMED);
        EL_ASSERT(err.text[0] != '\0');
        return 0;
    }
    el_buffer_append_char(&extra, ' '); /* so that there is a pointer even to nothing */
    rc = el_tlog_proof_extra(&proof, &extra);
    EL_ASSERT(rc == (proof.extra.data == NULL ? EVLOG_ERR_NOT_FOUND : 0));
    struct el_slice bytes = {rc == 0 ? extra.data + 1 : NULL, rc == 0 ? extra.len - 1 : 0};
    rc = el_tlog_proof_write(bytes, &proof, &again);
    EL_ASSERT(rc == 0);
    EL_ASSERT(el_slice_eq(el_buffer_slice(&again), el_slice_of(data, len)));
    EL_ASSERT(el_tlog_proof_verify(&proof, &leaf, &trust, &err) != 0);
    el_buffer_free(&extra);
    el_buffer_free(&again);
    return 0;
}
