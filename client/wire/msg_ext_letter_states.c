/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of LetterStates, in canonical order of the keys. Fields: docs/protocol.md section 5.
 */
#include <wire/msg_ext_letter_states.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_ext_letter_states_request
static const struct el_field ext_letter_states_request_fields[] = {
    EL_INT64(T, last,      EL_ALL, .initial = -1),
    EL_INT64(T, first,     EL_ALL),
    EL_STRING(T, group,    EL_ALL),
    EL_STRING(T, topic,    EL_ALL),
    EL_INT32(T, partition, EL_ALL),
};
#undef T
const struct el_schema el_schema_ext_letter_states_request = EL_SCHEMA(ext_letter_states_request, 0, 0, 0);

#define T struct el_msg_ext_letter_states_range
static const struct el_field ext_letter_states_range_fields[] = {
    EL_INT64(T, last,   EL_ALL),
    EL_INT64(T, first,  EL_ALL),
    EL_STRING(T, state, EL_ALL),
};
#undef T
const struct el_schema el_schema_ext_letter_states_range = EL_SCHEMA(ext_letter_states_range, 0, 0, 0);

#define T struct el_msg_ext_letter_states_response
static const struct el_field ext_letter_states_response_fields[] = {
    EL_INT64(T, end,      EL_ALL, .initial = -1),
    EL_INT16(T, error,    EL_ALL),
    EL_STRUCTS(T, ext_letter_states_range, ranges, range_count, EL_ALL),
    EL_STRING(T, message, EL_ALL, .nullable = EL_ALL, .null_initial = true),
};
#undef T
const struct el_schema el_schema_ext_letter_states_response = EL_SCHEMA(ext_letter_states_response, 0, 0, 0);
