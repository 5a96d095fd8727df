/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys of records of __evlog_access, byte for byte as they lie in the log, that are in force: the last record of each
 * has a value. Who reads the log notes those that matter to him: those that none of his keys opens, and those that are
 * to be written again. One thread.
 */
#ifndef EL_FORMAT_ACCESS_NAMES_H
#define EL_FORMAT_ACCESS_NAMES_H

#include <core/map.h>
#include <core/pool.h>
#include <format/access_seal.h>

#define EL_ACCESS_NAME_CLASS_LEN 128u
#define EL_ACCESS_NAME_CLASSES 9u

struct el_access_name {
    uint16_t len;
    bool unopened; /* by none of the keys */
    uint8_t bytes[];
};
EL_STATIC_ASSERT(sizeof(struct el_access_name) + EL_ACCESS_SEALED_NAME_MAX <=
                     EL_ACCESS_NAME_CLASS_LEN * EL_ACCESS_NAME_CLASSES,
                 "the longest name has a class");

struct el_access_names {
    struct el_map map; /* bytes -> struct el_access_name */
    struct el_pool pools[EL_ACCESS_NAME_CLASSES];
    uint32_t unopened_count;
};

/* Memory comes from the buddy, or from the heap when it is NULL. */
void el_access_names_init(struct el_access_names *names, struct el_buddy *buddy);
void el_access_names_destroy(struct el_access_names *names);
/* The next record that has this key, of 1 .. EL_ACCESS_SEALED_NAME_MAX bytes.
 *
 * live     it has a value; otherwise the key is not in force any more
 * returns  0 | EVLOG_ERR_NO_MEMORY nothing has changed
 */
int el_access_names_note(struct el_access_names *names, struct el_slice key, bool live, bool unopened);
uint32_t el_access_names_count(const struct el_access_names *names);
/* index 0 .. count - 1; valid until the next change. */
const struct el_access_name *el_access_names_at(const struct el_access_names *names, uint32_t index);
/* One of those that are unopened, of which there are some: the id of the key that has sealed it, as text. */
void el_access_names_missing_key(const struct el_access_names *names, char text[EL_ACCESS_KEY_ID_TEXT]);

#endif
