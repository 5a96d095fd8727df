/* SPDX-License-Identifier: Apache-2.0
 *
 * Compacted topics in the model: which key and what kind of value each record has, and which records may be gone.
 */
#ifndef EL_SIM_KEYED_H
#define EL_SIM_KEYED_H

#include "model.h"

#define KEYED_RECORDS_MAX 32u /* of a batch: a bit each */

#define KEYED_SETTINGS_MAX 5u

struct keyed_setting {
    const char *name, *value;
};

/* Settings of a compacted topic, drawn. returns how many there are */
uint32_t keyed_configure(struct model *m, struct model_topic *t, struct keyed_setting settings[KEYED_SETTINGS_MAX]);
/* Number of a record's key, -1 when it has none. */
int64_t keyed_number(const struct sent *s, uint32_t index);
/* Key of a record, a text; and whether its value is null. Both follow from batch and index. */
void keyed_key(const struct sent *s, uint32_t index, char key[12]);
bool keyed_tombstone(const struct sent *s, uint32_t index);
/* Batch id and index of a record, from its value or, of a tombstone, from its header. returns false when it has none */
bool keyed_identify(const struct el_batch_record *record, uint64_t *id, uint32_t *index);
/* Is the record what it was when it was sent? */
bool keyed_right(const struct sent *s, uint32_t index, const struct el_batch_record *record);
/* Offset of a record of a stored batch, at or above start, that the scan has not seen and that compaction had no right
 * to leave out; -1 none. */
int64_t keyed_missing(const struct model *m, const struct sent *s, int64_t start, bool damage);
/* Offset of a batch with a record that the scan has seen although a tombstone of batch s, which is gone, had removed
 * its key; -1 none. */
int64_t keyed_revived(const struct model *m, const struct sent *s, int64_t start);

#endif
