/* SPDX-License-Identifier: Apache-2.0
 *
 * The setting max.connections.per.ip.overrides: limits of single client addresses, as Kafka writes them.
 */
#ifndef EL_CONFIG_ADDRESS_LIMITS_H
#define EL_CONFIG_ADDRESS_LIMITS_H

#include <core/address.h>
#include <core/err.h>

#include <stdbool.h>

#define ADDRESS_LIMITS_MAX 64u
#define ADDRESS_LIMIT_MAX 1000000u /* connections */

struct address_limit {
    char address[EL_ADDRESS_TEXT_MAX]; /* as inet_ntop() writes it */
    uint32_t count_max;                /* 0: it may not connect at all */
};

struct address_limits {
    uint32_t count;
    struct address_limit list[ADDRESS_LIMITS_MAX]; /* [count], each address once */
};

/* "127.0.0.1:200, ::1:5", or "[::1]:5". Names of hosts are refused: they would have to be resolved, and may change.
 * returns 0 | EVLOG_ERR_INVALID_CONFIG with a text */
int address_limits_parse(const char *text, struct address_limits *limits, struct el_error *err);
/* The limit of an address as inet_ntop() writes it; otherwise: of those that are not listed. */
uint32_t address_limits_find(const struct address_limits *limits, struct el_slice address, uint32_t otherwise);

#endif
