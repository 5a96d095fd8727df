/* SPDX-License-Identifier: Apache-2.0
 *
 * Signed notes: whatever verifies has the text that was signed, and what parses as a checkpoint has the one form in
 * which it would be written again.
 */
#include "test_keys.h"

#include <core/assert.h>
#include <core/base64.h>
#include <evlog/error.h>
#include <format/note.h>

#include <inttypes.h>
#include <stdio.h>

#define KEY_NAME "example.com/log"
#define SIGNED_TEXT "example.com/log/root\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n" /* of the corpus */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct el_public_key keys[EL_SIGN_KEYS_MAX];
static size_t key_count;

static void again(const struct el_checkpoint_note *note)
{
    char text[EL_NOTE_ORIGIN_MAX + 96], root[45];
    el_base64_encode(root, note->root, 32);
    int len = snprintf(text, sizeof(text), "%.*s\n%" PRIu64 "\n%s\n", (int)note->origin.len,
                       (const char *)note->origin.data, note->size, root);
    EL_ASSERT(len > 0);
    EL_ASSERT((size_t)len + note->more.len == note->text.len);
    EL_ASSERT(memcmp(text, note->text.data, (size_t)len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct el_checkpoint_note note;
    struct el_slice bytes = el_slice_of(data, len);
    bool matched[EL_SIGN_KEYS_MAX];
    if (key_count == 0) {
        /* Ed25519 alone: the other kind would take most of the time. */
        int rc = el_public_keys_parse(el_slice_str(TEST_KEY_ED25519_PUBLIC), keys, &key_count, NULL);
        EL_ASSERT(rc == 0);
    }
    int parsed = el_note_parse(bytes, &note);
    EL_ASSERT(parsed == 0 || parsed == EVLOG_ERR_MALFORMED);
    if (parsed == 0) {
        again(&note);
    }
    int rc = el_note_verify(bytes, el_slice_str(KEY_NAME), keys, key_count, matched);
    EL_ASSERT(rc == 0 || rc == EVLOG_ERR_MALFORMED || rc == EVLOG_ERR_NOT_FOUND || rc == EVLOG_ERR_CORRUPT);
    if (rc == 0) {
        EL_ASSERT(matched[0]);
        EL_ASSERT(parsed == 0);
        EL_ASSERT(el_slice_eq(note.text, el_slice_str(SIGNED_TEXT)));
    }
    return 0;
}
