/* SPDX-License-Identifier: Apache-2.0
 *
 * A simulated disk. What a file holds is kept three times over: what a read sees, what would survive a power cut, and
 * the list of operations between the two. docs/fault-model.md names the faults; struct sim_faults has their
 * probabilities.
 */
#ifndef EL_SIM_DISK_H
#define EL_SIM_DISK_H

#include <core/rng.h>
#include <io/disk.h>

/* Probabilities in parts per million of each call. */
struct sim_faults {
    uint32_t write_error; /* EIO, an unknown part is written */
    uint32_t sync_error;  /* EIO; the pages count as clean from then on, as Linux does it */
    uint32_t read_error;
    uint32_t short_write; /* a durable write ends early with success */
    uint32_t lost_write;  /* a durable write succeeds and writes nothing (a lying device) */
    uint32_t misdirected; /* a durable write goes to another block of the file (a lying device) */
    uint64_t capacity;    /* bytes of all files, 0 for no bound */
};

struct sim_disk;

struct sim_disk *sim_disk_create(struct el_rng *rng);
void sim_disk_free(struct sim_disk *disk);
struct disk *sim_disk_as_disk(struct sim_disk *disk);
void sim_disk_faults(struct sim_disk *disk, const struct sim_faults *faults);
/* Crash at the n-th call from now (1: the next); 0 never. From then on every call returns EVLOG_ERR_CRASHED. */
void sim_disk_crash_at(struct sim_disk *disk, uint64_t n);
bool sim_disk_crashed(const struct sim_disk *disk);
uint64_t sim_disk_calls(const struct sim_disk *disk);
/* Power comes back: unsynced operations are kept, lost or torn by chance; all descriptors are gone. */
void sim_disk_power_cycle(struct sim_disk *disk);
/* The process ended but the machine did not: descriptors are gone, the page cache stays. */
void sim_disk_process_exit(struct sim_disk *disk);
/* Bytes of all files as a read sees them. */
uint64_t sim_disk_used(const struct sim_disk *disk);
/* A durable write that the backend has under way: begin, then end it once. Between them a crash tears it. */
struct sim_write;
struct sim_write *sim_disk_write_begin(struct sim_disk *disk, int fd, const struct iovec *iov, int iov_count,
                                       uint64_t pos);
/* returns bytes written | EVLOG_ERR_IO | EVLOG_ERR_CRASHED */
int64_t sim_disk_write_end(struct sim_disk *disk, struct sim_write *write);

#endif
