/* SPDX-License-Identifier: Apache-2.0
 *
 * Users and rules in place of broker/access.
 */
#include "fake.h"

bool access_known(const struct access *access)
{
    return !fake->access_unknown;
}

bool access_failed(const struct access *access)
{
    return fake->access_failed;
}

void access_change(struct access *access, struct access_op *op)
{
    op->error = fake->access_error;
    for (uint32_t i = 0; i < op->record_count && op->error == 0; i++) {
        struct auth_record record;
        assert_int_equal(auth_record_decode(op->records[i].key, op->records[i].value, &record), 0);
        assert_int_equal(auth_record_apply(&fake->auth, &record), 0);
    }
    op->done(op);
}
