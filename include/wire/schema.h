/* SPDX-License-Identifier: Apache-2.0
 *
 * One table per message instead of one hand-written codec per message and version.
 *
 * A schema lists the fields of a struct in wire order: type, place in the C struct, and the versions in which the field
 * is there, may be null, or travels in the tagged section. One decoder and one encoder read these tables; they serve
 * broker and client, requests and responses, Kafka's binary layout and (schema_cbor.h) evlog's CBOR bodies.
 *
 *   - Sets of versions are bit masks, bit n for version n, so that "no version" is 0 and needs no mention in a table.
 *   - string, bytes and records are slices borrowed from the input: they live as long as the frame does.
 *     data NULL is null on the wire where the version allows null, and empty where it does not.
 *   - An array is a pointer and a count. Pointer NULL is null where the version allows it, else empty; an empty array
 *     that is not null points to EL_EMPTY or anything else.
 *   - A struct that is nullable in some version is a pointer; every other struct lies inline.
 *
 * Fill a message that is to be encoded only after el_schema_init() or el_schema_new(): a field that the version lacks
 * must hold its default, which is not always zero, unless the table calls it ignorable.
 *
 * Source: docs/protocol.md section 2. Pure functions; any thread.
 */
#ifndef EL_WIRE_SCHEMA_H
#define EL_WIRE_SCHEMA_H

#include <core/arena.h>
#include <core/bytes.h>
#include <core/cursor.h>

#define EL_SCHEMA_DEPTH_MAX 6    /* structs inside structs, the message itself included */
#define EL_SCHEMA_VERSION_MAX 31 /* a version is a bit of a 32-bit mask */
#define EL_STRING_LEN_MAX 0x7fff /* a string's length fits an int16 in every version */

enum el_type {
    EL_TYPE_BOOL,
    EL_TYPE_INT8,
    EL_TYPE_INT16,
    EL_TYPE_UINT16,
    EL_TYPE_INT32,
    EL_TYPE_UINT32,
    EL_TYPE_INT64,
    EL_TYPE_UINT64, /* CBOR bodies only */
    EL_TYPE_FLOAT64,
    EL_TYPE_UUID, /* any 16 bytes */
    EL_TYPE_STRING,
    EL_TYPE_BYTES,
    EL_TYPE_RECORDS, /* as bytes; may be handed on without a copy */
    EL_TYPE_STRUCT,
};

struct el_schema;

struct el_field {
    const char *name;               /* as in the C struct; the key of a CBOR map */
    const struct el_schema *schema; /* of a struct or of the structs of an array, else NULL */
    int64_t initial;                /* value when absent: numbers and bool; all else is zero, empty or null */
    uint32_t versions;              /* mask: on the wire */
    uint32_t nullable;              /* mask: null may be sent */
    uint32_t tagged;                /* mask: travels in the tagged section */
    uint16_t offset;                /* of the member, bytes */
    uint16_t count_offset;          /* of an array's uint32_t count, bytes */
    uint8_t type;                   /* enum el_type; of the elements when array */
    uint8_t tag;                    /* number in the tagged section */
    bool array;                     /* pointer and count */
    bool pointer;                   /* struct behind a pointer, NULL for null */
    bool null_initial;              /* null when absent, instead of empty */
    bool ignorable;                 /* dropped without complaint by a version that lacks it */
    bool key;                       /* elements of the array that holds this struct are unique by it */
};

struct el_schema {
    const char *name;              /* such as "metadata_request" */
    const struct el_field *fields; /* [field_count], wire order; tagged ones in ascending tag order */
    uint16_t field_count;
    uint16_t size;     /* bytes of the C struct */
    int16_t valid_min; /* versions the table describes */
    int16_t valid_max;
    int16_t flexible_from; /* first version with compact lengths and tagged sections; EL_NEVER for none */
};

#define EL_NEVER 0x7fff

/* What encoding one message needs. */
struct el_schema_size {
    size_t len;           /* bytes on the wire */
    size_t slice_len;     /* of those, bytes of records that a gathering encoder leaves where they are */
    uint32_t slice_count; /* how many such records */
};

/* Output of a gathering encoder: the message is parts[part_count] one behind the other. */
struct el_gather {
    struct el_slice *parts; /* [part_max], the caller's; 2 * slice_count + 1 are enough */
    uint32_t part_max;
    uint32_t part_count;
    size_t copy_len_max; /* shorter or equal records are copied: an iovec costs more than a few cache lines */
    const uint8_t *open; /* first byte written since the last part */
};

/* Where an empty array that is not null points to. Never read. */
extern uint64_t el_schema_empty[2];
#define EL_EMPTY ((void *)el_schema_empty)

/* Give every field its default.
 *
 * out  schema->size bytes, overwritten
 */
void el_schema_init(const struct el_schema *schema, void *out);

/* Bytes of one value of the field in C; of an array, of each item. */
size_t el_field_size(const struct el_field *field);

/* count structs with every field at its default.
 *
 * returns  the array (EL_EMPTY for count 0), or NULL when the arena's budget is spent
 */
void *el_schema_new(const struct el_schema *schema, struct el_arena *arena, uint32_t count);

/* Decode one message; bytes may be left over behind it.
 *
 * version  within the schema's valid range
 * r        the bytes; strings and records are borrowed from them
 * arena    takes the arrays; a count is believed only as far as the bytes left can hold that many elements
 * out      schema->size bytes; on failure partly filled, to be thrown away
 * returns  0 | EVLOG_ERR_TRUNCATED | EVLOG_ERR_MALFORMED | EVLOG_ERR_NO_MEMORY arena spent
 */
int el_schema_decode(const struct el_schema *schema, int version, struct el_reader *r, struct el_arena *arena,
                     void *out);

/* Exact length of a message in bytes. */
size_t el_schema_len(const struct el_schema *schema, int version, const void *in);

/* Length, and how much of it a gathering encoder leaves in place.
 *
 * copy_len_max  records up to this length are copied
 */
void el_schema_measure(const struct el_schema *schema, int version, const void *in, size_t copy_len_max,
                       struct el_schema_size *size);

/* Encode one message.
 *
 * returns  0 | EVLOG_ERR_LIMIT room or a length limit | EVLOG_ERR_UNSUPPORTED a value is set that this version cannot
 *          carry and that may not be dropped
 */
int el_schema_encode(const struct el_schema *schema, int version, const void *in, struct el_writer *w);

/* As el_schema_encode, but longer records are not copied: they become parts of their own. w takes the rest and needs
 * len - slice_len bytes. Bytes that stand in w before the call become the start of the first part.
 *
 * gather   from el_gather_init(); parts are valid as long as w's memory and the records are
 * returns  as el_schema_encode; EVLOG_ERR_LIMIT also when parts run out
 */
int el_schema_encode_gather(const struct el_schema *schema, int version, const void *in, struct el_writer *w,
                            struct el_gather *gather);

void el_gather_init(struct el_gather *gather, struct el_slice *parts, uint32_t part_max, size_t copy_len_max,
                    const struct el_writer *w);
/* Leave a slice in place: close the part that is being written and add the slice as the next one. */
int el_gather_slice(struct el_gather *gather, const struct el_writer *w, struct el_slice slice);
/* Close the last part; el_schema_encode_gather has done so. */
int el_gather_end(struct el_gather *gather, const struct el_writer *w);

/* False when a table breaks a rule of this header (order of tags, depth, sizes); for tests. */
bool el_schema_check(const struct el_schema *schema);

#endif
