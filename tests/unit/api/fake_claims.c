/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory for answers, in place of net's: one limit for all requests, and the test says when who waits is called.
 */
#include "fake.h"

size_t request_claim(struct request *request, const struct request_need *need)
{
    assert_in_range(need->least, 1, need->most);
    if (fake->claim_limit == 0) {
        return need->most;
    }
    size_t left = fake->claim_limit > fake->claimed ? fake->claim_limit - fake->claimed : 0;
    size_t given = left < need->least ? 0 : EL_MIN(left, need->most);
    fake->claimed += given;
    fake->claimed_max = EL_MAX(fake->claimed_max, fake->claimed);
    request->claimed += given;
    return given;
}

void request_claim_more(struct request *request, uint32_t place, size_t len)
{
    fake->claimed += fake->claim_limit == 0 ? 0 : len;
    request->claimed += fake->claim_limit == 0 ? 0 : len;
}

void request_unclaim(struct request *request, uint32_t place, size_t len)
{
    if (fake->claim_limit > 0) {
        assert_in_range(len, 0, request->claimed);
        fake->claimed -= len;
        request->claimed -= len;
    }
}

void request_claim_wait(struct request *request, const struct request_need *need, request_fn again)
{
    assert_null(fake->claim_waiting);
    assert_true(fake->claim_limit < fake->claimed + need->least);
    fake->claim_waiting = request;
    fake->claim_again = again;
}

bool request_claim_presses(const struct request *request)
{
    return fake->claim_limit > 0 && fake->claimed > fake->claim_limit;
}

void request_claim_cancel(struct request *request)
{
    fake->claim_waiting = fake->claim_waiting == request ? NULL : fake->claim_waiting;
}

void fake_claim_again(struct fake *f)
{
    struct request *request = f->claim_waiting;
    assert_non_null(request);
    f->claim_waiting = NULL;
    f->claim_again(request);
}

uint32_t store_owner_index(struct store_shard *shard, const struct el_uuid *topic_id, int32_t partition)
{
    return 0;
}
