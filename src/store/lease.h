// SPDX-License-Identifier: MIT
/*
 * Leases: a lock on a snapshot's .lease keeps the snapshot.
 *
 * A reader shares it, by fcntl() (F_RDLCK, by open file or by process) or flock(LOCK_SH), and loses
 * it with its files when it dies.  Who deletes the snapshot takes it exclusively in both ways,
 * since the two do not know each other.
 */
#ifndef UT_LEASE_H
#define UT_LEASE_H

#include "untorn.h"

/* Hold a snapshot: UNTORN_E_ABSENT if it is gone.  close() of *fd lets it go; a forked child that
 * inherited it holds it too, as it reads on.
 * UNTORN_E_CORRUPT: the snapshot is no directory or has no .lease.  UNTORN_E_BUSY: somebody has it
 * exclusively for longer than deleting takes.  UNTORN_E_PERMISSION, _SYSTEM. */
untorn_status ut_lease_take(const char *snapshot_path, int *fd);

/* To delete a snapshot.  UNTORN_E_BUSY: somebody holds it.  *fd is -1 if there is no .lease, which
 * nobody can hold then. */
untorn_status ut_lease_end(const char *snapshot_path, int *fd);

/* What ut_lease_end() took. */
void ut_lease_close(int fd);

#endif
