/* SPDX-License-Identifier: Apache-2.0
 *
 * Reader of configuration files: "[section]", "key = value", comments from '#' or ';' at the start of a line or from
 * " #" after a value, a value in double quotes is taken as it is. Lines may be of any length. Pure function.
 */
#ifndef EL_CONFIG_INI_H
#define EL_CONFIG_INI_H

#include <core/bytes.h>
#include <core/err.h>

struct ini_entry {
    struct el_slice section;
    struct el_slice key;
    struct el_slice value; /* may be empty, data is never NULL */
    uint32_t line;         /* from 1 */
    uint32_t key_column;   /* from 1, bytes */
    uint32_t value_column;
    uint32_t section_line; /* where the section began */
};

/* Not 0 ends the reading. */
typedef int (*ini_fn)(void *arg, const struct ini_entry *entry, struct el_error *err);

/* Call fn for each entry in order; slices are valid during the call.
 *
 * name      of the file, for messages
 * returns   0 | EVLOG_ERR_INVALID_CONFIG with "name:line:column: what is wrong" | what fn returned
 */
int ini_parse(const char *name, const void *data, size_t len, ini_fn fn, void *arg, struct el_error *err);

#endif
