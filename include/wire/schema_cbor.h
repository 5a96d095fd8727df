/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables of wire/schema.h as CBOR: a struct is a map whose keys are the field names, in canonical order (shorter
 * first, then bytewise), which is also the order of the table. For the bodies of evlog's own requests.
 *
 *   bool -> bool | integers -> unsigned or negative integer | string -> text | bytes, records -> byte string
 *   uuid -> byte string of 16 | array -> array | struct -> map | null, where the table allows it -> null
 *
 * Decoding: an absent key leaves the field's default, an unknown key is skipped, a key given twice, a value of another
 * type or out of range is malformed. Encoding writes every field of the version. Pure functions; any thread.
 */
#ifndef EL_WIRE_SCHEMA_CBOR_H
#define EL_WIRE_SCHEMA_CBOR_H

#include <wire/schema.h>

/* As el_schema_decode. */
int el_schema_cbor_decode(const struct el_schema *schema, int version, struct el_reader *r, struct el_arena *arena,
                          void *out);
/* As el_schema_measure. */
void el_schema_cbor_measure(const struct el_schema *schema, int version, const void *in, size_t copy_len_max,
                            struct el_schema_size *size);
/* As el_schema_encode_gather; gather NULL copies everything. */
int el_schema_cbor_encode(const struct el_schema *schema, int version, const void *in, struct el_writer *w,
                          struct el_gather *gather);

#endif
