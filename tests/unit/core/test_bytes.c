/* SPDX-License-Identifier: Apache-2.0 */
#include "../../lib/test.h"

#include <core/bytes.h>

TEST(bytes, big_endian_is_kafkas_order)
{
    uint8_t p[8];
    el_put_be64(p, 0x0102030405060708ull);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(p[i], i + 1);
    }
    assert_int_equal(el_get_be16(p), 0x0102);
    assert_int_equal(el_get_be32(p + 1), 0x02030405);
    assert_true(el_get_be64(p) == 0x0102030405060708ull);
    assert_true(el_get_le64(p) == 0x0807060504030201ull);
}

TEST(bytes, null_slice_equals_an_empty_one_in_content)
{
    assert_true(el_slice_eq(el_slice_of(NULL, 0), el_slice_str("")));
    assert_false(el_slice_eq(el_slice_str("a"), el_slice_str("b")));
    assert_false(el_slice_eq(el_slice_str("a"), el_slice_str("ab")));
    assert_null(el_slice_str(NULL).data);
}

TEST(bytes, align_up_keeps_multiples)
{
    assert_int_equal(EL_ALIGN_UP(0, 4096), 0);
    assert_int_equal(EL_ALIGN_UP(1, 4096), 4096);
    assert_int_equal(EL_ALIGN_UP(4096, 4096), 4096);
    assert_true(EL_ALIGN_UP((5ull << 32) + 1, 8u) == (5ull << 32) + 8);
}

TEST(bytes, uuid_zero_and_equal)
{
    struct el_uuid a = {{0}}, b = {{0}};
    assert_true(el_uuid_is_zero(&a));
    b.bytes[15] = 1;
    assert_false(el_uuid_is_zero(&b));
    assert_false(el_uuid_eq(&a, &b));
}
