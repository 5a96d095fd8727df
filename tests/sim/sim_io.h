/* SPDX-License-Identifier: Apache-2.0
 *
 * The simulated backend of the io seam: virtual time, completions after random delays, one thread for all shards. A job
 * begins at a random time; before any of its disk calls it may pause, and shards and other jobs run meanwhile, or the
 * machine crashes.
 */
#ifndef EL_SIM_IO_H
#define EL_SIM_IO_H

#include "sim_disk.h"
#include "sim_net.h"
#include <io/io.h>

struct sim_clock {
    uint64_t now_ns;     /* monotonic, virtual */
    int64_t wall_offset; /* real time = now + offset; jumps move it */
};

/* index: which shard it is for. */
struct io *sim_io_create(struct sim_clock *clock, struct sim_disk *disk, struct el_rng *rng, uint32_t index);
/* Give it sockets; without a network it has none. */
void sim_io_network(struct io *io, struct sim_net *net);
/* Virtual time of its next event: completion, message or timer; UINT64_MAX none. */
uint64_t sim_io_next(struct io *io);
/* Jobs that are in the middle of something: whether there are any, and their end with a disk that is off. */
bool sim_io_has_jobs(struct io *io);
void sim_io_kill_jobs(struct io *io);
/* Drop everything that is under way, without completions, and free. */
void sim_io_abandon(struct io *io);
#endif
