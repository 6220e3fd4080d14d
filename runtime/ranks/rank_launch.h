/* rank_launch.h: what the program that started this process says of others. */
#pragma once

#define RANK_LAUNCH_UNKNOWN 0

/* As mpirun of Open MPI, or anything that speaks PMI (MPICH, srun --mpi=pmi2), puts it into the
 * environment. RANK_LAUNCH_UNKNOWN: it speaks PMIx (srun --mpi=pmix), and MPI knows how many
 * there are. 1: nobody says that there are more. */
int rank_launch_size(void);
