// SPDX-License-Identifier: MIT
/* A server that a peer needs: started in the background, ended with the benchmark. */
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

/* Start it, its output thrown away.  Returns NULL, or why it could not be. */
const char *server_start(const char *const *argv);

/* Whether it still runs. */
int server_runs(void);

/* End it, by force if it does not in some seconds.  In a child of the process that started it,
 * nothing.  May be called from a signal handler. */
void server_stop(void);

#endif
