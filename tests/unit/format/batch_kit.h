/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of batches share: batches from a client, and checks on exact copies.
 */
#ifndef EL_TEST_BATCH_KIT_H
#define EL_TEST_BATCH_KIT_H

#include <format/batch.h>

#define KIT_BASE_MS 1700000000000ll
#define KIT_GOLDEN_COUNT 5

/* One batch per codec, in the order of enum el_codec, as kafka-python 3.0.12 (DefaultRecordBatchBuilder) writes them.
 *
 * Three records; keys k0, k1, null; values "value i " twelve times, the second null; timestamps KIT_BASE_MS + 0, 5, 2;
 * the first has the headers h: x and n: null. All but the plain one: producer 4711, epoch 3, sequence 2147483646. */
extern const struct el_slice kit_golden[KIT_GOLDEN_COUNT];

/* Give a changed batch the length and checksum of its bytes. */
void kit_reseal(uint8_t *batch, size_t len);
/* el_batch_check() of an exact copy on the heap, with scratch as large as it asks for. */
int kit_check(const uint8_t *batch, size_t len, struct el_batch_info *info);
/* Read all records of a batch. returns their count or the error */
int kit_iterate(const uint8_t *batch, size_t len);
/* A batch of count records with key "k" and value "vvv", one ms apart; returns its length. */
size_t kit_make(uint8_t *buf, size_t buf_len, int count, const struct el_batch_origin *origin);

#endif
