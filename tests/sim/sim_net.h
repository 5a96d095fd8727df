/* SPDX-License-Identifier: Apache-2.0
 *
 * A simulated network between clients and the listeners of one broker. Bytes of a connection arrive in order, in pieces
 * and after delays that the seed decides; between connections there is no order. A side that does not read fills its
 * peer's window. What can go wrong stands in the table of faults.
 *
 * The broker's end is what io.h asks for, called by sim_io.c; the clients' end is the second half of this page.
 */
#ifndef EL_SIM_NET_H
#define EL_SIM_NET_H

#include "sim_disk.h"

#include <core/rng.h>
#include <io/io.h>

struct sim_clock;
struct sim_net;

/* disk: the machine's: its trace notes every read on either side, its faults (faults.h) decide what goes wrong. */
struct sim_net *sim_net_create(struct sim_clock *clock, struct el_rng *rng, struct sim_disk *disk);
void sim_net_free(struct sim_net *net);
/* The broker's process has ended: listeners are gone, connections break. */
void sim_net_off(struct sim_net *net);
/* Sockets that the broker holds: listeners and accepted connections. */
uint32_t sim_net_open_count(const struct sim_net *net);

/* --- the broker's end --------------------------------------------------------------------------------------------- */

int sim_net_listen(struct sim_net *net, uint16_t port, bool join, int *fd, uint16_t *bound_port);
int sim_net_peer_name(struct sim_net *net, int fd, char *text, size_t text_len);
void sim_net_shutdown(struct sim_net *net, int fd);
void sim_net_close(struct sim_net *net, int fd);
/* When an IO_ACCEPT, IO_RECV or IO_SEND can go on; UINT64_MAX: not before the other side does something. */
uint64_t sim_net_ready(struct sim_net *net, const struct io_op *op);
/* Go on with it.
 *
 * sent     bytes of an IO_SEND that have left, advanced
 * returns  true with the op's result | false: a send that has more to do
 */
bool sim_net_go(struct sim_net *net, struct io_op *op, uint64_t *sent, int64_t *result);

/* --- the clients' end --------------------------------------------------------------------------------------------- */

/* Connect to one of the listeners, from the client's address. returns a number for the calls below | -1 nobody listens
 */
int sim_net_connect(struct sim_net *net, uint32_t client);
/* returns how many bytes were taken; 0 also when the connection is broken: reading tells */
size_t sim_net_write(struct sim_net *net, int conn, const uint8_t *data, size_t len);
/* returns bytes | 0 nothing now | EVLOG_ERR_NOT_FOUND the broker's end was reached | EVLOG_ERR_CLOSED broken */
int64_t sim_net_read(struct sim_net *net, int conn, uint8_t *buf, size_t len);
/* When there is something to read; UINT64_MAX: nothing under way. */
uint64_t sim_net_read_at(struct sim_net *net, int conn);
/* Send no more, still read. */
void sim_net_end(struct sim_net *net, int conn);
/* Give the connection up: in order, or by a reset. */
void sim_net_drop(struct sim_net *net, int conn, bool reset);

#endif
