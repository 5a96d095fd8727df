/* SPDX-License-Identifier: Apache-2.0
 *
 * Attestations that are handed over, before and behind their signatures. What is read of one lies in it; a text differs
 * from itself in nothing, and from another one in a line of both.
 */
#include "../../tools/evlog/attestation_note.h"

#include <core/assert.h>
#include <evlog/error.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static bool within(struct el_slice part, struct el_slice whole)
{
    return part.len == 0 || (part.data >= whole.data && part.data + part.len < whole.data + whole.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct el_slice note = el_slice_of(data, len), text = {NULL, 0};
    struct attestation_said said;
    struct attestation_difference d;
    int code = attestation_note_text(note, &text);
    EL_ASSERT(code == 0 || code == EVLOG_ERR_MALFORMED || code == EVLOG_ERR_NOT_FOUND);
    EL_ASSERT(code == EVLOG_ERR_MALFORMED || (text.data == data && text.len < len));
    text = code == 0 ? text : note;
    if (attestation_note_read(text, &said) == 0) {
        EL_ASSERT(said.root > 0);
        EL_ASSERT(said.until_ns >= 0);
        EL_ASSERT(strlen(said.incarnation) == 32);
        EL_ASSERT(said.topic[0] != 0);
        EL_ASSERT(memmem(text.data, text.len, said.topic, strlen(said.topic)) != NULL);
    }
    EL_ASSERT(!attestation_note_differs(text, text, true, &d));
    struct el_slice half = el_slice_of(data, len / 2), rest = el_slice_of(data + len / 2, len - len / 2);
    for (int whole = 0; len > 0 && whole < 2; whole++) {
        if (attestation_note_differs(half, rest, whole == 1, &d)) {
            EL_ASSERT(d.line > 0);
            EL_ASSERT(within(d.theirs, half));
            EL_ASSERT(within(d.ours, rest));
        }
    }
    return 0;
}
